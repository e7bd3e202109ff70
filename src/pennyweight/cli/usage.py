"""Wrong usage in one line: an unknown option or command, a missing argument, a value of another kind."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any

from pennyweight.core.errors import PennyweightError, nearest
from pennyweight.core.synonyms import hint_of_value

__all__ = ["STATUS", "UsageError", "near_option", "one_line", "unknown_command"]

STATUS = 2
"""Exit status of wrong usage, as of most programs."""
ALIKE = 0.7
"""Least likeness of an unknown option and the one that is meant, by `difflib`; short words are like many others."""
KINDS: Mapping[str, str] = {"int": "a whole number", "float": "a number", "bool": "yes or no", "finite": "a number"}
"""Words for a kind of value, by the start of pydantic's name for the error."""
LIMITS: Mapping[str, str] = {
    "greater_than_equal": "at least {ge}",
    "less_than_equal": "at most {le}",
    "greater_than": "above {gt}",
    "less_than": "below {lt}",
}


class UsageError(PennyweightError):
    """Command line that no command understands; the program ends with status 2."""


@contextmanager
def one_line(ctx: Any, args: Sequence[str]) -> Iterator[None]:
    """Raise UsageError for an error of Typer's parser inside, which parses `args`. A request for help passes."""
    from typer import TyperException  # 0.05 s, which `main` spends only on commands that Typer parses

    args = [*args]  # parsing empties the list
    try:
        yield
    except TyperException as error:
        if error.exit_code != STATUS or type(error).__name__ == "NoArgsIsHelpError":
            raise
        raise UsageError(_line(error, ctx, args)) from error


def near_option(option: str, command: Any) -> str | None:
    """Return the option of a command that is spelled most like another word; None if none is much like it."""
    names = [name for each in command.params for name in (*each.opts, *each.secondary_opts)]
    by_word = {_word(name): name for name in (*names, "--help") if name.startswith("--")}
    close = get_close_matches(_word(option), by_word, n=1, cutoff=ALIKE)
    return by_word[close[0]] if close else None


def _word(option: str) -> str:
    return option.lstrip("-").replace("_", "-").casefold()


def _unknown_option(option: str, ctx: Any) -> str:
    if others := _with_option(option, ctx.find_root()):
        hint = f"{', '.join(others[:3])} {'has' if len(others) == 1 else 'have'}"
    elif near := near_option(option, ctx.command):
        hint = f"did you mean '{near}'?"
    else:
        hint = f"{ctx.command_path} --help lists them"
    return f"{ctx.command_path} has no option '{option}'; {hint}"


def _with_option(option: str, root: Any) -> list[str]:
    """Return the commands of the program that have this very option."""
    commands = getattr(root.command, "commands", {}).items()
    return [f"{root.command_path} {name}" for name, each in commands if option in _options(each)]


def _options(command: Any) -> set[str]:
    return {name for each in command.params for name in each.opts} - {"--help"} if not command.hidden else set()


def unknown_command(name: str, ctx: Any) -> str:
    """Return the line about a command that a group does not have."""
    commands = [each for each, command in ctx.command.commands.items() if not command.hidden]
    return f"{ctx.command_path} has no command '{name}'{nearest(name, commands, otherwise=_listed(commands))}"


def _listed(names: Sequence[str]) -> str:
    return f"; there are {', '.join(names)}"


def _line(error: Any, ctx: Any, args: Sequence[str]) -> str:
    """Return what was received, the rule and the nearest thing that works."""
    param, kind = getattr(error, "param", None), type(error).__name__
    usage = " ".join([ctx.command_path, *ctx.command.collect_usage_pieces(ctx)])
    if kind == "NoSuchOption":
        single = not error.option_name.startswith("--")  # of -epochs the parser names -e alone
        words = (each for each in args if single and each.startswith(error.option_name))
        return _unknown_option(next(words, error.option_name), ctx)
    if kind == "MissingParameter" and param is not None:
        return f"{_name(param)} is missing: {usage}{_required(param)}"
    if kind == "BadOptionUsage":
        option = next((each for each in ctx.command.params if error.option_name in each.opts), None)
        if option is None or option.is_flag:
            return f"{error.option_name} takes no value"
        return f"{error.option_name} takes a value: {error.option_name} {option.metavar or 'VALUE'}"
    if kind == "BadParameter" and param is not None:
        return f"{_name(param)} {_wrong_value(error)}"
    if found := re.search(r"extra arguments?(?:\(s\))? \((.*)\)", error.message):
        return f"'{found[1]}' is more than the command takes: {usage}"
    return str(error.format_message())


def _required(param: Any) -> str:
    return f" {param.opts[0]} {param.metavar or 'VALUE'}" if param.param_type_name == "option" else ""


def _name(param: Any) -> str:
    if param.param_type_name == "argument":
        return str(param.metavar or param.name.upper())
    return str(next((name for name in param.opts if name.startswith("--")), param.opts[0]))


def _wrong_value(error: Any) -> str:
    """Return the rule for a value, and the value: takes a whole number, not '0x'."""
    faults = getattr(error.__cause__, "errors", None)
    if faults is None:
        return f"is wrong: {error.format_message().partition(': ')[2] or error.message}"
    fault = faults()[0]
    kind, value, details = fault["type"], fault["input"], fault.get("ctx", {})
    if kind in LIMITS:
        return f"must be {LIMITS[kind].format_map(details)}, not {value}"
    if choices := re.findall(r"'([^']*)'", fault["msg"].partition("is not one of")[2]):
        *first, last = choices
        rule = f"{', '.join(first)} or {last}" if first else last
        return f"takes {rule}, not '{value}'{hint_of_value(str(value), choices)}"
    if (rule := KINDS.get(kind.partition("_")[0])) is None:
        return f"is wrong: {fault['msg']}"
    return f"takes {rule}, not '{value}'"
