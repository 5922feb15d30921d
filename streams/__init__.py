"""The running system: feeds, stages, and the topology that wires them."""
