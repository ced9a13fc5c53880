"""Corruptions of labels and of pixels."""
