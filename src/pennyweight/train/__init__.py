"""Training: a recipe of values, and one explicit loop. Takes any module; knows no network by name."""

from pennyweight.train.callbacks import Epoch, Watcher
from pennyweight.train.checkpoint import Checkpoints
from pennyweight.train.checkpoint_schedule import Keeper
from pennyweight.train.distributed import Ranks
from pennyweight.train.loop import train
from pennyweight.train.presets import RECIPES
from pennyweight.train.recipe import Recipe
from pennyweight.train.reproducible import reproducible

__all__ = ["RECIPES", "Checkpoints", "Epoch", "Keeper", "Ranks", "Recipe", "Watcher", "reproducible", "train"]
