"""Streams: pictures of shards in an order drawn before they are read, within a bounded memory."""
