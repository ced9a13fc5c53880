"""Optimizers of the training loop: SGD, Adam, RMSProp."""
