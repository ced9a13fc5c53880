"""Measures of a fit: norms, margins, flatness, bounds, certificates."""
