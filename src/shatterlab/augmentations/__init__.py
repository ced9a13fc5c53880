"""Augmentations: random changes of training images, new ones in every epoch."""
