"""Influence functions with the curvature of the training loss, one file for each method."""
