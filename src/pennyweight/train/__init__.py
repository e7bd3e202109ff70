"""Training: a recipe of values, and one explicit loop. Takes any module; knows no network by name."""

from pennyweight.train.loop import Epoch, Watcher, reproducible, train
from pennyweight.train.recipe import Recipe

__all__ = ["Epoch", "Recipe", "Watcher", "reproducible", "train"]
