"""The command line: parse, call a verb, print. Torch is imported inside commands, so that help is quick."""

from pennyweight.cli.app import main

__all__ = ["main"]
