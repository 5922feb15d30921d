"""The read API and the pages of the care team."""
