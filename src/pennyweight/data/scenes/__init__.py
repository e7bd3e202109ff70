"""Hyperspectral scenes: readers of cubes and label maps, splits of pixels, windows for training."""
