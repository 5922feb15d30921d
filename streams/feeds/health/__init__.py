"""How each source of ECGs is doing: counts, clock, rhythm, and the alarm when one goes quiet."""
