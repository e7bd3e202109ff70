"""The public functions, one file each: they take names and sources, and join the rooms below.

Nothing is re-exported here, so that no module of this room hides a public name.
"""
