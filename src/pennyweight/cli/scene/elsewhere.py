"""Answers of the commands on pictures to a scene: one line with the command that takes it, ready to be run."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple, NoReturn

from typer.main import get_command

from pennyweight.cli.help import Command
from pennyweight.cli.scene.group import make_scene
from pennyweight.core.errors import InputError

__all__ = ["CommandOnPictures", "MovedCommand"]

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
OF_A_RUN = ("evaluate", "predict", "export")
"""Commands whose first argument is a run or a bundle; what follows are sources."""
PREFIX = "scene:"
OF_A_FILE = ("--labels", "--names", "--background")
"""Options for the file of a cube; scene:NAME has a label map of its own."""


class CommandOnPictures(Command):
    """Command that answers a scene, or an option of scenes, with the command on scenes."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments. Raises InputError for those of a scene."""
        args = [PREFIX + each[len(PREFIX) :] if each.lower().startswith(PREFIX) else each for each in args]
        scene = next((argument for argument in args if argument.startswith(PREFIX)), None)
        given = [argument.partition("=")[0] for argument in args]
        option = next((name for name in given if name in OPTIONS and name not in _options_of(self)), None)
        if scene or option in _options_of(_command_on_scenes(str(self.name)) if option else None):
            _refuse(self, args, scene, option)
        rest = super().parse_args(ctx, [*args])  # which empties the list
        if self.name == "fit" and _is_scene(ctx.params["source"]):
            _refuse(self, args, ctx.params["source"], None)
        return rest


class MovedCommand(Command):
    """Command that stands under `scene` now, and answers with its new place."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Raise InputError with the whole new command."""
        raise InputError(f"{self.name} is a command on scenes: pennyweight scene {shlex.join([str(self.name), *args])}")


class Asked(NamedTuple):
    """Arguments of a command line, divided."""

    places: list[str]
    """Arguments without a name, such as the source."""
    options: list[tuple[str, list[str]]]
    """Each option's name, and its words on the line."""

    def words(self, known: Sequence[str]) -> list[str]:
        """Return the words of the options that are among the `known`."""
        return [word for name, words in self.options if name in known for word in words]


def _refuse(command: Command, args: Sequence[str], scene: str | None, option: str | None) -> NoReturn:
    """Raise InputError for a scene or an option of scenes, with the whole command that can be run instead."""
    name = str(command.name)
    target = _command_on_scenes(name)
    asked = _divided(args, [command, target])
    sources = asked.places[1:] if name in OF_A_RUN else asked.places
    reason = f"{scene} is a scene" if scene else f"{option} is for scenes"
    if scene is None:
        scene = next((each for each in sources if _is_scene(each)), None)
        if scene is None and sources:
            others = [each for each, _ in asked.options if each not in OPTIONS]
            rest = shlex.join([name, *asked.places, *asked.words(others)])
            raise InputError(f"{option} is for scenes, and {sources[0]} is none; leave it out: pennyweight {rest}")
    own = OF_A_FILE if scene and scene.startswith(PREFIX) else ()
    known = [each for each in _options_of(target) if each not in own]
    if {each for each, _ in asked.options} & {*own}:
        reason += " with its own label map"
    if left := [each for each, _ in asked.options if each not in (*known, *own)]:
        reason += f", and {' and '.join(left)} {'are' if len(left) > 1 else 'is'} for pictures"
    words = [*_places(name, asked.places, scene), *asked.words(known), *_required(name, asked, scene)]
    work, there = COMMANDS[name]
    raise InputError(f"{reason}; {work} with: pennyweight scene {there} {shlex.join(words)}")


def _places(name: str, places: Sequence[str], scene: str | None) -> list[str]:
    """Return the arguments without a name of the command on scenes; a word in capitals stands for a missing one."""
    if name not in OF_A_RUN:
        return [scene or "SCENE"]
    run = next((place for place in places if not place.startswith(PREFIX)), "RUN")
    return [run, scene or "CUBE"] if name == "predict" else [run]


def _required(name: str, asked: Asked, scene: str | None) -> list[str]:
    """Return the options that the command on scenes cannot do without, and that were not given."""
    given = [each for each, _ in asked.options]
    if name == "predict" and "--map" not in given:
        return ["--map", "map.png"]
    from_file = name == "fit" and scene is not None and not scene.startswith(PREFIX)
    return ["--labels", "MAP"] if from_file and "--labels" not in given else []


def _divided(args: Sequence[str], commands: Sequence[Any]) -> Asked:
    """Divide a command line; an option that none of the `commands` has takes the next word as its value."""
    parameters = [each for command in commands for each in command.params if each.param_type_name == "option"]
    flags = {name for each in parameters if each.is_flag for name in (*each.opts, *each.secondary_opts)}
    asked, rest = Asked([], []), list(args)
    while rest:
        word = rest.pop(0)
        if not word.startswith("--") or word == "--":
            asked.places.extend([word] if word != "--" else rest)
            rest = rest if word != "--" else []
            continue
        name, given, _ = word.partition("=")
        takes = not given and name not in flags and rest and not rest[0].startswith(("--", PREFIX))
        asked.options.append((name, [word, rest.pop(0)] if takes else [word]))
    return asked


@cache
def _commands_on_scenes() -> Mapping[str, Any]:
    group: Any = get_command(make_scene())
    return dict(group.commands)


def _command_on_scenes(name: str) -> Any:
    """Return the command on scenes that answers for a command on pictures."""
    return _commands_on_scenes()[COMMANDS[name][1]]


def _options_of(command: Any) -> list[str]:
    parameters = [] if command is None else command.params
    return [name for each in parameters for name in (*each.opts, *each.secondary_opts) if name.startswith("--")]


def _is_scene(source: object) -> bool:
    from pennyweight.data.scenes.open import is_scene  # with numpy, only where a source is looked at

    return is_scene(source)
