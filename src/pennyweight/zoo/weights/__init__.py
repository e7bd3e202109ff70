"""Weights from files: file formats, layouts of keys, recognition of the network, and loading into it."""
