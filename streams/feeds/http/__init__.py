"""ECGs over HTTP: ``POST /v1/ecgs``."""
