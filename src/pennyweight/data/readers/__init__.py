"""Readers of sources: folders, tables, arrays, archives, shards and named sets."""
