"""Weights from files: formats, names of keys, the network they fit, and loading them into it."""
