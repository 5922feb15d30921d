"""Training: cohort in, bundle out."""
