"""Drift: histograms and distances."""
