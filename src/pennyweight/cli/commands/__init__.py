"""The commands on pictures and networks, one in each file: each parses, calls a verb and prints."""
