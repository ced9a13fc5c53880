"""Optimizers of the training loop: SGD, Adam, AdamW, RMSProp."""
