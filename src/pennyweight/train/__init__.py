"""Training: a recipe of values, and one explicit loop. Takes any module; knows no network by name."""

from pennyweight.train.checkpoint import Checkpoints
from pennyweight.train.epoch import Epoch, Watcher
from pennyweight.train.keeper import Keeper
from pennyweight.train.loop import train
from pennyweight.train.ranks import Ranks
from pennyweight.train.recipe import Recipe
from pennyweight.train.recipes import RECIPES
from pennyweight.train.reproducible import reproducible

__all__ = ["RECIPES", "Checkpoints", "Epoch", "Keeper", "Ranks", "Recipe", "Watcher", "reproducible", "train"]
