"""Corruptions of labels and pixels: one a file."""
