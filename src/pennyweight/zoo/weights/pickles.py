"""Read `.pth` files of other programs: tensors by name, and nothing else that such a file may hold."""

from __future__ import annotations

import pickle
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals

from pennyweight.core.errors import InputError
from pennyweight.core.reading import reason_of

__all__ = ["Tensors", "flatten", "read_pickle"]

DEEPEST = 100
"""Most dots in a name; files of weights have about ten."""

FEWEST = 10
"""Fewest unnamed tensors that may be weights; fewer are scores or states of random generators."""


class Tensors(NamedTuple):
    """Tensors of a file by dotted name, and tensors that cannot be used because they have no names."""

    state: dict[str, Tensor]
    unnamed: dict[str, str]
    """Dotted path -> description of the unnamed tensors there: those of a pickled module, or of a list."""


class _Inert:
    """Placeholder for an object whose class is not loaded, such as a training program's arguments."""

    held: object = None
    """State of the object, used only to count tensors."""

    def __new__(cls, *arguments: object, **named: object) -> _Inert:
        return object.__new__(cls)

    def __init__(self, *arguments: object, **named: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        self.held = state


def read_pickle(path: Path) -> Tensors:
    """Read all tensors of a .pth file by dotted name with torch's restricted unpickler, which runs no code.

    Training programs also save arguments, numpy numbers and paths. Such objects are left out, and their classes are not
    imported. Raises InputError for a file that cannot be read.
    """
    try:
        with warnings.catch_warnings(), safe_globals(_stand_ins(path)):
            warnings.simplefilter("ignore")  # torch warns about the pickle's protocol
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise InputError(f"cannot read weights from {path}: {reason_of(error)}") from error
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{path} holds more than tensors, or is damaged; nothing in it was run. Take a safetensors file, or one "
            "that holds model.state_dict() alone"
        ) from error
    # A damaged pickle may raise any error.
    except Exception as error:
        raise InputError(
            f"{path} is damaged or not a file of weights ({type(error).__name__}); nothing in it was run"
        ) from error
    if isinstance(loaded, _Inert):
        raise InputError(
            f"{path} holds no state dict, but a pickled {type(loaded).__name__}, whose code was not run: save its "
            "state_dict() where it was made"
        )
    return flatten(loaded, str(path))


def _stand_ins(path: Path) -> list[Any]:
    """Return an inert class for each class that the file names and torch does not know.

    Files before torch 1.6 have none.
    """
    if not zipfile.is_zipfile(path):
        return []
    return [(type(name.rpartition(".")[2], (_Inert,), {}), name) for name in get_unsafe_globals_in_checkpoint(path)]


def flatten(loaded: Any, name: str) -> Tensors:
    """Return all tensors in the content of a file, however nested, by dotted name, without an optimizer's.

    Raises InputError if no tensor has a name.
    """
    state: dict[str, Tensor] = {}
    unnamed: dict[str, str] = {}
    seen: set[int] = set()

    def visit(tree: Mapping[Any, Any], prefix: str) -> None:
        if id(tree) in seen or prefix.count(".") > DEEPEST:  # a pickle may contain itself
            return
        seen.add(id(tree))
        for key, value in tree.items():
            if not isinstance(key, str):
                continue
            if isinstance(value, Tensor):
                state[prefix + key] = value
            elif key.lower().startswith("optim"):
                continue
            elif isinstance(value, Mapping):
                visit(value, f"{prefix}{key}.")
            if (count := _without_names(value)) >= FEWEST:
                unnamed[prefix + key] = f"{count} tensors of a {type(value).__name__}"

    if isinstance(loaded, Mapping):
        visit(loaded, "")
    if not state:
        raise InputError(f"{name} holds no state dict (names with tensors), but a {type(loaded).__name__}")
    return Tensors(state, unnamed)


def _without_names(value: object) -> int:
    """Count the tensors of a list, of a dictionary with numeric keys, or of an object that was not loaded."""
    if isinstance(value, Mapping):
        value = [entry for key, entry in value.items() if not isinstance(key, str)]
    if not isinstance(value, _Inert | list | tuple | set):
        return 0
    return sum(isinstance(entry, Tensor) for entry in _entries(value))


def _entries(root: object) -> Iterator[object]:
    """Yield all objects inside an object, however nested, each once."""
    left, seen = [root], set[int]()
    while left:
        entry = left.pop()
        if id(entry) in seen:
            continue
        seen.add(id(entry))
        yield entry
        if isinstance(entry, Mapping):
            left += entry.values()
        elif isinstance(entry, list | tuple | set):
            left += entry
        elif isinstance(entry, _Inert):
            left.append(entry.held)
