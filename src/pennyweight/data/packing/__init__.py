"""Packing of a source into shards: a plan, and the shards that follow it."""
