"""Measures of a fit: one a file."""
