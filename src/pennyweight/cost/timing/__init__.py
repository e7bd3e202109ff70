"""Timing: the machine's profile, predicted and measured milliseconds."""
