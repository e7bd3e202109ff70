"""Training: a recipe of values and one explicit loop. Takes any module; knows no network by name."""

from pennyweight.train.callbacks import Callback, Epoch
from pennyweight.train.checkpoint import Checkpoints
from pennyweight.train.checkpointer import Checkpointer
from pennyweight.train.distributed import Ranks
from pennyweight.train.loop import train
from pennyweight.train.presets import RECIPES
from pennyweight.train.recipe import Recipe
from pennyweight.train.reproducible import reproducible

__all__ = ["RECIPES", "Callback", "Checkpointer", "Checkpoints", "Epoch", "Ranks", "Recipe", "reproducible", "train"]
