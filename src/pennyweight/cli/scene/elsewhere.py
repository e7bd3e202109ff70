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
COMMANDS = {
    "fit": ("train on it", "fit"),
    "evaluate": ("score a run of it", "evaluate"),
    "predict": ("map it", "predict"),
    "export": ("export a run of it", "export"),
    "doctor": ("count the leakage of its split", "leakage"),
}
"""For a command on pictures, the work on a scene and the command on scenes that does it."""
PREFIX = "scene:"
MAP = ("--map", "map.png")


class CommandOnPictures(Command):
    """Command that answers a scene, or an option of scenes, with the command on scenes."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments. Raises InputError for those of a scene."""
        args = [PREFIX + each[len(PREFIX) :] if each.lower().startswith(PREFIX) else each for each in args]
        scene = next((argument for argument in args if argument.startswith(PREFIX)), None)
        known = {option for parameter in self.params for option in (*parameter.opts, *parameter.secondary_opts)}
        given = [argument.partition("=")[0] for argument in args]
        option = next((name for name in given if name in OPTIONS and name not in known), None)
        if scene or option:
            refuse_scene(f"{scene} is a scene" if scene else f"{option} is for scenes", str(self.name), args)
        return super().parse_args(ctx, args)


class MovedCommand(Command):
    """Command that stands under `scene` now, and answers with its new place."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Raise InputError with the whole new command."""
        raise InputError(f"{self.name} is a command on scenes: pennyweight scene {shlex.join([str(self.name), *args])}")


def refuse_scene(reason: str, command: str, args: Sequence[str]) -> None:
    """Raise InputError with a reason, and with the whole command that takes the scene."""
    work, name = COMMANDS[command]
    if name == "predict" and "--map" not in args:
        args = [*args, *MAP]
    if name in ("evaluate", "export"):  # of a run, which knows its scene
        args = [argument for argument in args if not argument.startswith(PREFIX)] or ["RUN"]
    raise InputError(f"{reason}; {work} with: pennyweight scene {name} {shlex.join(args)}")
