"""Group of the commands on scenes."""

from __future__ import annotations

import typer

from pennyweight.cli.help import Command, Group
from pennyweight.cli.recipe_options import CommandWithRecipe
from pennyweight.cli.scene.evaluate import evaluate
from pennyweight.cli.scene.export import export
from pennyweight.cli.scene.fit import fit
from pennyweight.cli.scene.leakage import leakage
from pennyweight.cli.scene.names import names
from pennyweight.cli.scene.predict import predict

__all__ = ["make_scene"]


def make_scene() -> typer.Typer:
    """Make the group with its commands."""
    group = typer.Typer(cls=Group, no_args_is_help=True, help="Train on hyperspectral scenes, and map them.")
    group.command(cls=CommandWithRecipe)(fit)
    for command in (evaluate, predict, export, leakage, names):
        group.command(cls=Command)(command)
    return group
