"""Help of a command: its options in panels, two columns wide, with line breaks between words alone."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text
from typer.core import TyperCommand, TyperGroup

from pennyweight.cli.usage import UsageError, one_line, unknown_command

__all__ = ["DATA", "EXECUTION", "MEASUREMENT", "NETWORK", "OUTPUT", "SERVER", "TIME", "TRAINING", "Command", "Group"]

ARGUMENTS, DATA, NETWORK, TRAINING, TIME, OUTPUT = "Arguments", "Data", "Network", "Training", "Time", "Output"
EXECUTION, MEASUREMENT, SERVER = "Execution", "Measurement", "Server"
PANELS = (ARGUMENTS, DATA, NETWORK, TRAINING, SERVER, EXECUTION, TIME, MEASUREMENT, OUTPUT)
"""Titles of the panels, in the order of the help."""
NAME_WIDTH = 27
"""Characters of the column with an option's name and value, the same in every panel."""


class Command(TyperCommand):
    """Command whose usage line names its arguments plainly and whose help fits 80 columns."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments. Raises UsageError."""
        with one_line(ctx, args):
            return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the parts of the usage line: SOURCE where it is required, [SOURCE] where it is not."""
        return ["[OPTIONS]", *(_argument_name(p) for p in self.params if p.param_type_name == "argument")]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the usage, the description, and a panel for each group of options."""
        _print_help(self, ctx, {})


class Group(TyperGroup):
    """Group of commands, with the same help; wrong usage of them is an error of one line."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the group's own arguments. Raises UsageError."""
        with one_line(ctx, args):
            return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that the first argument names. Raises UsageError for an unknown one."""
        if not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            raise UsageError(unknown_command(args[0], ctx))
        return super().resolve_command(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the usage, the description, the commands, the options and the closing lines."""
        commands = {name: self.get_command(ctx, name) for name in self.list_commands(ctx)}
        _print_help(self, ctx, {name: each for name, each in commands.items() if each and not each.hidden})


def _print_help(command: Any, ctx: Any, commands: Mapping[str, Any]) -> None:
    console = Console()
    console.print(Padding(Text(command.get_usage(ctx), style="bold"), 1))
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        console.print(Padding(Text(paragraph.replace("\n", " ")), (0, 1, 1, 1)))
    if commands:
        width = max(map(len, commands))
        rows = [(Text(name, style="cyan"), _first_sentence(each)) for name, each in commands.items()]
        console.print(_laid_out("Commands", rows, width))
    parameters = [parameter for parameter in command.get_params(ctx) if not getattr(parameter, "hidden", False)]
    for panel in PANELS:
        options = [(_name(each), _description(each, ctx)) for each in parameters if _panel(each) == panel]
        if options:
            console.print(_laid_out("Options" if commands else panel, options, NAME_WIDTH))
    if command.epilog:
        console.print(Padding(Text(command.epilog), 1))


def _first_sentence(command: Any) -> str:
    """Return the first sentence of a command's help, without its period."""
    paragraph = inspect.cleandoc(command.help or "").split("\n\n")[0].replace("\n", " ")
    return paragraph.partition(". ")[0].removesuffix(".")


def _panel(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return ARGUMENTS
    return parameter.rich_help_panel or OUTPUT  # --help is the one option that states no panel


def _laid_out(panel: str, rows: Iterable[tuple[Text, str]], width: int) -> Panel:
    grid = Table.grid(padding=(0, 2, 0, 0), expand=True)
    grid.add_column(no_wrap=True, min_width=width)
    grid.add_column(ratio=1)
    for name, description in rows:
        grid.add_row(name, Text(description))
    return Panel(grid, title=panel, title_align="left", border_style="dim")


def _argument_name(parameter: Any) -> str:
    name = str(parameter.metavar or parameter.name.upper())
    return name if parameter.required else f"[{name}]"


def _name(parameter: Any) -> Text:
    """Return an option's first name with its short form and the name of its value; of an argument the name."""
    if parameter.param_type_name == "argument":
        return Text(str(parameter.metavar or parameter.name.upper()), style="cyan")
    long = [name for name in parameter.opts if name.startswith("--")][:1]
    short = [name for name in parameter.opts if not name.startswith("--")]
    text = Text(", ".join([*short, *long]), style="cyan")
    if parameter.secondary_opts:
        text.append(f"/{parameter.secondary_opts[0]}")
    if parameter.metavar:
        text.append(f" {parameter.metavar}", style="yellow")
    return text


def _description(parameter: Any, ctx: Any) -> str:
    """Return the help of an option, with its default where there is one to name."""
    default = parameter.get_default(ctx, call=False)
    if default is None or isinstance(default, bool | list | tuple) or callable(default):
        return str(parameter.help)
    value = f"{default:g}" if isinstance(default, float) else default
    return f"{parameter.help} [default: {value}]"
