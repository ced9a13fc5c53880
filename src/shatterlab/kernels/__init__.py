"""Kernels: one a file."""
