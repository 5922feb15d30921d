"""Running it: command line, embedded services, topics, demo, bench."""
