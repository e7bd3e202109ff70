"""Checks of a source before training: unreadable files, near duplicates, conflicting labels."""
