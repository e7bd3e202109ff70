"""Blocks that two or more families share, and the one place that initialises them."""

from pennyweight.nn.blocks import ClassifierHead, ConvNormAct, activation, divisible
from pennyweight.nn.init import initialise
from pennyweight.nn.pixels import FromPixels

__all__ = ["ClassifierHead", "ConvNormAct", "FromPixels", "activation", "divisible", "initialise"]
