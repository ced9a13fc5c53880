"""Kernels: radial ones, those of wide networks, tangent kernels, random features."""
