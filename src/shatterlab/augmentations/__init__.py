"""Augmentations: one a file."""
