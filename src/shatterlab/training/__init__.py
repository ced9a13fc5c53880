"""How networks are trained: loops, batches, precision, early stopping, checkpoints. No parts."""
