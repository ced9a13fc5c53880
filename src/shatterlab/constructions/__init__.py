"""Networks that are written down, not trained: each takes any values at the points of a sample."""
