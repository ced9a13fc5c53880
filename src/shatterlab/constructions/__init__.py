"""Networks that are written down, not trained, with their exact arithmetic: each takes any values at the points of a sample."""
