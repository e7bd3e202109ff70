"""Augmentation: random changes of training pictures, drawn by (seed, epoch, sample)."""
