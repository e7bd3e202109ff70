"""Answer an argument that `fit` does not have with the place where that setting is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from inspect import signature
from typing import Any

from pennyweight import zoo
from pennyweight.core.errors import InputError, nearest
from pennyweight.core.synonyms import meant
from pennyweight.train import Recipe

__all__ = ["refuse_unknown"]


def refuse_unknown(unknown: Iterable[str], function: Callable[..., Any]) -> None:
    """Raise InputError for the first of `unknown`, with the argument, recipe field or Config field that is meant."""
    for name in unknown:
        raise InputError(f"{function.__name__} has no '{name}'{_place(name, signature(function).parameters)}")


def _place(name: str, arguments: Mapping[str, Any]) -> str:
    own = [argument for argument in arguments if argument != "unknown"]
    recipe = [field.name for field in fields(Recipe)]
    configs = {field.name: None for known in zoo.names() for field in fields(zoo.variant(known).config)}
    if found := meant(name, own):
        return f"; did you mean '{found}'?"
    if found := meant(name, recipe):
        return f"; it is a field of the recipe: recipe={{'{found}': …}}"
    if found := meant(name, configs):
        return f"; it is a field of the network's Config: config={{'{found}': …}}"
    if close := nearest(name, own):
        return close
    return nearest(name, recipe, otherwise=f"; it takes {', '.join(own)}")
