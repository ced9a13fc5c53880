"""Data sets: published ones, your own arrays and folders, generated and derived ones."""
