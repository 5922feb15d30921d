"""One reader per file format: bytes in, EcgRecorded or a refusal out."""
