"""Grafana's boards, data sources and alert rules as code, and how they get into a Grafana."""
