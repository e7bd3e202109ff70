"""Checks of a source before training: unreadable files, twins, conflicting labels."""
