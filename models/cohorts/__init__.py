"""Cohorts of ECGs to train and judge the model on."""
