"""Drift: mergeable histograms with the training reference's edges, and distances between them."""
