"""A watched folder: what carts and PACS export as files, taken once each."""
