"""Choose the fastest engine of a bundle on this machine: measured once, and remembered in the cache folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from pennyweight.core.cache import cached_file, make_cache_folder
from pennyweight.core.errors import InputError, PennyweightError
from pennyweight.core.extras import install_command
from pennyweight.core.figures import number, several
from pennyweight.core.files import sha256, write_json
from pennyweight.core.machine import cores, machine
from pennyweight.core.noise import seeded_pixels
from pennyweight.core.turns import time_in_turns
from pennyweight.runtime.bundle import Bundle
from pennyweight.runtime.difference import Difference
from pennyweight.runtime.engine import ENGINES, USUAL, EngineChoice, available

__all__ = ["open_fastest"]

KIND = "engines"
"""Kind of the cache's folder."""
ROUNDS, WITHIN_S = 30, 1.5
PICTURES = 16
"""Seeded pictures on which an engine must answer as the usual one."""
LEAD = 0.97
"""Share of the usual engine's time below which another one is preferred."""


def open_fastest(path: Path, choice: EngineChoice, note: Callable[[str], None]) -> Bundle:
    """Open a bundle with the engine that answers one picture soonest, and that answers as onnxruntime does.

    Args:
        path: The ONNX file.
        choice: Threads, and the usual engine.
        note: Callback that is given a line about the choice.

    Raises:
        BundleError: The bundle is damaged.
        InputError: `choice` asks for a precision that onnxruntime lacks.
    """
    if choice.precision not in ENGINES[USUAL].precisions:
        raise InputError(f"fastest compares answers with {USUAL}, which lacks {choice.precision}; name the engine")
    names = [name for name in ENGINES if available(name)]
    if len(names) == 1:
        missing = next(name for name in ENGINES if name not in names)
        note(f"{names[0]} is the only engine installed; another is added with: {install_command(missing)}")
        return Bundle(path, choice)
    if not path.is_file():
        return Bundle(path, choice)  # raises the error
    conditions = _conditions(path, choice, names)
    known = _Remembered(conditions)
    found = known.read()
    if found is not None:
        note(f"engine {found}, the fastest for {path} when it was measured on this machine")
        return Bundle(path, replace(choice, name=found))
    bundle, milliseconds = _measure(path, choice, names, note)
    name = bundle.using.name
    kept = known.write(name, milliseconds)
    shown = ", ".join(f"{each} {number(ms)} ms" for each, ms in milliseconds.items())
    note(
        f"engine {name}, the fastest for {path} on this machine: {shown} "
        f"(shortest of several, one picture, {several(choice.threads or cores(), 'thread')}); {kept}"
    )
    return bundle


def _conditions(path: Path, choice: EngineChoice, names: Sequence[str]) -> dict[str, object]:
    """Return everything that decides which engine is the fastest."""
    from importlib.metadata import version  # slow to import

    about = machine()
    return {
        "bundle": sha256(path),
        "machine": {key: about[key] for key in ("processor", "cores", "system")},
        "engines": {name: version(ENGINES[name].package) for name in names},
        "threads": choice.threads or cores(),
        "precision": choice.precision,
        "spinning": choice.spinning,
    }


def _measure(
    path: Path, choice: EngineChoice, names: Sequence[str], note: Callable[[str], None]
) -> tuple[Bundle, dict[str, float]]:
    """Return the bundle opened with the fastest engine, and each engine's shortest time in milliseconds.

    Other programs lengthen the shortest time least.
    """
    usual = Bundle(path, choice)
    shape = usual.manifest.preprocess.shape
    pixels = seeded_pixels(PICTURES, shape)
    reference = usual.engine(pixels).probabilities
    opened = {choice.name: usual}
    for name in names:
        if name == choice.name:
            continue
        try:
            other = Bundle(path, replace(choice, name=name))
            difference = Difference.of(reference, other.engine(pixels).probabilities)
        except PennyweightError as error:
            note(f"{name} is left out: {error}")
            continue
        if difference.is_small:
            opened[name] = other
        else:
            note(f"{name} is left out, because it differs from {choice.name}: {difference}")
    calls = [partial(bundle.engine, pixels[:1]) for bundle in opened.values()]
    times = time_in_turns(calls, repeats=ROUNDS, within_s=WITHIN_S)
    shortest = dict(zip(opened, map(min, times), strict=True))
    best = min(shortest, key=lambda name: shortest[name])
    if shortest[best] > LEAD * shortest[choice.name]:
        best = choice.name
    return opened[best], shortest


@dataclass(frozen=True)
class _Remembered:
    """Choice that an earlier measurement left in the cache folder."""

    conditions: Mapping[str, object]

    @property
    def path(self) -> Path:
        digest = hashlib.sha256(json.dumps(self.conditions, sort_keys=True).encode()).hexdigest()
        return cached_file(KIND, f"{digest[:32]}.json")

    def read(self) -> str | None:
        """Return the engine's name; None without a file, or with one that cannot be used."""
        with suppress(OSError, ValueError, TypeError, AttributeError):
            kept = json.loads(self.path.read_text(encoding="utf-8"))
            name = kept.get("engine")
            if kept.get("conditions") == self.conditions and name in ENGINES and available(name):
                return str(name)
        return None

    def write(self, name: str, milliseconds: Mapping[str, float]) -> str:
        """Keep the choice, and return a phrase about where it is kept."""
        try:
            make_cache_folder(self.path.parent)
            write_json(self.path, {"engine": name, "milliseconds": milliseconds, "conditions": self.conditions})
        except OSError as error:
            return f"not remembered ({error.strerror or error})"
        return f"remembered in {self.path}"
