"""Figures of the study, as SVG that takes its colours from the page it stands in."""
