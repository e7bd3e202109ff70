"""What a network costs, counted on meta tensors. Takes any module; knows no network by name."""

from pennyweight.cost.count import Cost, LayerCost, count

__all__ = ["Cost", "LayerCost", "count"]
