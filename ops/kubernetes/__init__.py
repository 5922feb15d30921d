"""Diastole on Kubernetes: one table of workloads, the manifests that follow from it, and their files."""
