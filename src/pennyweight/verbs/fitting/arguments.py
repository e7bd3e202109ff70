"""Refuse what `fit` does not take, and name the place where it belongs: a scene, or an argument."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from inspect import Parameter, signature
from shlex import quote
from typing import Any

from pennyweight import zoo
from pennyweight.core.errors import InputError, nearest
from pennyweight.core.synonyms import meant
from pennyweight.data.scenes.open import is_scene
from pennyweight.data.scenes.scene import Scene
from pennyweight.train import Recipe

__all__ = ["refuse_scene", "refuse_unknown"]

OTHER_FUNCTIONS = {"seeds": "pw.fit_seeds trains once per seed and reports mean and standard deviation"}
"""Arguments of other functions -> the function that takes them."""


def refuse_scene(source: object, options: Iterable[str]) -> None:
    """Raise InputError for a scene, with the function and the command that train on one."""
    if is_scene(source):
        if isinstance(source, Scene):
            raise InputError(f"{source.name} is a scene; train on it with pw.scene.fit")
        name = os.fspath(source)
        labels = "" if name.startswith("scene:") else " --labels MAP"
        place = f"{quote(name)}{labels}, or pw.scene.fit"
        raise InputError(f"{name} is a scene; train on it with: pennyweight scene fit {place}")
    if "scene" in options:
        raise InputError("fit has no 'scene'; a scene's options belong to pw.scene.fit(…, scene={…})")


def refuse_unknown(options: Iterable[str], function: Callable[..., Any], known: Iterable[str]) -> None:
    """Raise InputError for the first of `options` that is not `known`, with the argument or field that is meant."""
    known = tuple(known)
    for name in options:
        if name not in known:
            named = [
                each.name for each in signature(function).parameters.values() if each.kind != Parameter.VAR_KEYWORD
            ]
            raise InputError(f"{function.__name__} has no '{name}'{_place(name, [*named, *known])}")


def _place(name: str, arguments: Sequence[str]) -> str:
    """Return the end of the line: the argument, the recipe's field or the Config's field that `name` may mean."""
    recipe = [field.name for field in fields(Recipe)]
    configs = {field.name: None for known in zoo.names() for field in fields(zoo.variant(known).config)}
    if name in OTHER_FUNCTIONS:
        return f"; {OTHER_FUNCTIONS[name]}"
    if found := meant(name, arguments):
        return f"; did you mean '{found}'?"
    if found := meant(name, recipe):
        return f"; it is a field of the recipe: recipe={{'{found}': …}}"
    if found := meant(name, configs):
        return f"; it is a field of the network's Config: config={{'{found}': …}}"
    if close := nearest(name, arguments):
        return close
    return nearest(name, recipe, otherwise=f"; it takes {', '.join(arguments)}")
