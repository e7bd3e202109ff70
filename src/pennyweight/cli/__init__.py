"""Command line: parse, call a verb, print. Commands import torch inside, so that help is fast."""

from pennyweight.cli.program import main

__all__ = ["main"]
