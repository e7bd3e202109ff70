"""Predictions in a folder of parts: the folder, the work on it, and processes that share it."""
