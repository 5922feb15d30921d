"""ECGs by DICOM C-STORE."""
