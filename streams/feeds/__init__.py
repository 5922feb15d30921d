"""What hospitals export, turned into EcgRecorded."""
