"""`pennyweight scene …`: the commands on hyperspectral scenes, one in each file."""
