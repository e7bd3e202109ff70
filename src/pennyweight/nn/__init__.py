"""Blocks that two or more families share, and the one place that initializes them."""

from pennyweight.nn.blocks import ClassifierHead, ConvNormAct, PaddedStyle, PooledStem, SqueezeExcite, Style, divisible
from pennyweight.nn.init import initialize
from pennyweight.nn.network import Network
from pennyweight.nn.pixels import FromPixels
from pennyweight.nn.windowed import WindowHead, WindowNetwork

__all__ = [
    "ClassifierHead",
    "ConvNormAct",
    "FromPixels",
    "Network",
    "PaddedStyle",
    "PooledStem",
    "SqueezeExcite",
    "Style",
    "WindowHead",
    "WindowNetwork",
    "divisible",
    "initialize",
]
