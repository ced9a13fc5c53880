"""How networks are trained: ONE loop, its feeds, when it stops, checkpoints, devices. No parts."""
