"""HL7 v2 over MLLP: ECGs inside ORU messages, and merges of patients."""
