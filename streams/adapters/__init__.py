"""The rim: the only modules that touch Kafka, Redis and other services."""
