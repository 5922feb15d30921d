"""Training of bundles: cohorts in, a folder with manifest and weights out. Seeded and reproducible."""
