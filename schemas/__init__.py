"""The contracts: Avro schemas, the frozen types they carry, codec and registry."""
