"""Counting on the meta device: multiply-accumulates, memory traffic and peak activation memory of each module."""
