"""Answer an option that `fit` does not have, such as --learning-rate, with the field of the recipe that is meant."""

from __future__ import annotations

from typing import Any

from pennyweight.cli.help import Command
from pennyweight.cli.usage import UsageError, near_option
from pennyweight.core.synonyms import meant

__all__ = ["CommandWithRecipe"]


class CommandWithRecipe(Command):
    """Command whose recipe is set by --set: an option called like a field of it is answered with that."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments. Raises UsageError for an option that is a field of the recipe."""
        known = {option for parameter in self.params for option in (*parameter.opts, *parameter.secondary_opts)}
        named = [argument.partition("=")[0] for argument in args if argument.startswith("--")]
        for option in named:
            if option not in known and not near_option(option, self) and (field := _field(option)) is not None:
                its_option = f"--{field.replace('_', '-')}"
                if its_option in known:
                    raise UsageError(f"{ctx.command_path} has no option '{option}'; did you mean '{its_option}'?")
                raise UsageError(f"{option} is a field of the recipe: --set {field}=VALUE")
        return super().parse_args(ctx, args)


def _field(option: str) -> str | None:
    from dataclasses import fields

    from pennyweight.train import Recipe  # with torch, only where an option is unknown

    return meant(option, [field.name for field in fields(Recipe)])
