"""How networks are trained: ONE loop with its feeds, stopping, checkpoints and devices."""
