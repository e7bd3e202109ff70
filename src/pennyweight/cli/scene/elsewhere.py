"""Answers of the commands on pictures to a scene: one line with the command that takes it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from pennyweight.cli.help import Command
from pennyweight.core.errors import InputError

__all__ = ["CommandOnPictures", "MovedCommand", "refuse_scene"]

OPTIONS = (
    *("--labels", "--names", "--background", "--split", "--train", "--window", "--components", "--protocol", "--cut"),
    *("--baselines", "--with-baselines", "--map", "--bfloat16"),
)
"""Options that only the commands on scenes have."""
WORK = {"fit": "train on it", "predict": "map it", "evaluate": "score it", "export": "export it"}
MAP = ("--map", "map.png")


class CommandOnPictures(Command):
    """Command that answers a scene, or an option of scenes, with the command on scenes."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments. Raises InputError for those of a scene."""
        scene = next((argument for argument in args if argument.startswith("scene:")), None)
        known = {option for parameter in self.params for option in (*parameter.opts, *parameter.secondary_opts)}
        given = [argument.partition("=")[0] for argument in args]
        option = next((name for name in given if name in OPTIONS and name not in known), None)
        if self.name in WORK and (scene or option):
            refuse_scene(scene or f"{option} is for scenes", self.name, args)
        return super().parse_args(ctx, args)


class MovedCommand(Command):
    """Command that stands under `scene` now, and answers with its new place."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Raise InputError with the whole new command."""
        raise InputError(f"{self.name} is a command on scenes: pennyweight scene {shlex.join([str(self.name), *args])}")


def refuse_scene(received: str, command: str, args: Sequence[str]) -> None:
    """Raise InputError with the whole command that takes the scene."""
    args = [*args, *(MAP if command == "predict" and "--map" not in args else ())]
    what = received if " " in received else f"{received} is a scene"
    raise InputError(f"{what}; {WORK[command]} with: pennyweight scene {command} {shlex.join(args)}")
