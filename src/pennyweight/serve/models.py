"""Models that are served: each a bundle that was proved loadable, replaced when its file changes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory

import numpy as np

from pennyweight.core.errors import BundleError, InputError, PennyweightError, nearest
from pennyweight.core.files import sha256
from pennyweight.core.manifest import Manifest
from pennyweight.core.noise import seeded_pixels
from pennyweight.core.run_folder import RunFolder, is_run_folder
from pennyweight.core.strangers import StrangerRule
from pennyweight.runtime.bundle import Bundle
from pennyweight.runtime.classifier import Classifier
from pennyweight.runtime.engine import EngineChoice
from pennyweight.serve.failures import RequestError

__all__ = ["Change", "Model", "Models", "Place", "places_of"]

SHORT = 12
"""Hexadecimal digits of a bundle's SHA-256 that are its version."""
Stamp = tuple[int, int, int]
"""Modification time in nanoseconds, size and inode of a file."""


@dataclass(frozen=True)
class Place:
    """Name of a model, and the file of its bundle."""

    name: str
    path: Path


@dataclass(frozen=True, kw_only=True)
class Model:
    """Opened bundle that has answered once."""

    name: str
    path: Path
    sha256: str
    """SHA-256 of the file."""
    file_bytes: int
    loaded: str
    """Time of opening, in ISO 8601."""
    manifest: Manifest
    classifier: Classifier

    @property
    def labels(self) -> tuple[str, ...]:
        """Classes, in the order of the network's outputs."""
        return self.classifier.labels

    @property
    def version(self) -> str:
        """First digits of the bundle's SHA-256."""
        return self.sha256[:SHORT]

    @classmethod
    def open(cls, place: Place, rule: StrangerRule, max_pixels: int | None) -> Model:
        """Open a bundle with one thread for each call, and have it answer once.

        Raises:
            BundleError: The file is damaged, changes meanwhile, or its network gives no probabilities.
            InputError: The network cannot do what `rule` asks for.
        """
        before = _stamp(place.path)
        if before is None or not place.path.is_file():
            Bundle(place.path)  # raises the error
        # A file that shrinks while it is mapped into memory would end the process, so a private copy is opened.
        with TemporaryDirectory(prefix="pennyweight-serve-") as folder:
            copy = Path(folder) / "model.onnx"
            copyfile(place.path, copy)
            if _stamp(place.path) != before:
                raise BundleError(f"{place.path} changed while it was read")
            try:
                bundle = Bundle(copy, EngineChoice(threads=1, spinning=False))
                classifier = replace(bundle.classifier, stranger_rule=rule).with_max_pixels(max_pixels)
                rule.require(classifier.held_out)
                probabilities, _ = classifier.measured(seeded_pixels(1, classifier.preprocess.shape))
            except PennyweightError as error:
                raise type(error)(str(error).replace(str(copy), str(place.path))) from error
            digest, size = sha256(copy), copy.stat().st_size
        if not np.isfinite(probabilities).all():
            raise BundleError(f"{place.path} answers with NaN or infinity; export it again")
        return cls(
            name=place.name,
            path=place.path,
            sha256=digest,
            file_bytes=size,
            loaded=datetime.now(UTC).isoformat(timespec="seconds"),
            manifest=bundle.manifest,
            classifier=classifier,
        )


@dataclass(frozen=True)
class Change:
    """File of a model that has changed since it was opened."""

    place: Place
    model: Model | None
    """Model that is served from now on; None if the file cannot be opened, and the earlier one is served further."""
    error: str | None = None
    """Reason that the file cannot be opened."""


class Models:
    """Models by name. `look` takes up changed files; every other method reads what it left.

    Args:
        places: Names and files.
        rule: Rule for strangers.
        max_pixels: Largest picture that is decoded.

    Raises:
        BundleError: A bundle cannot be opened.
    """

    def __init__(self, places: Sequence[Place], rule: StrangerRule, max_pixels: int | None) -> None:
        self._places, self._rule, self._max_pixels = places, rule, max_pixels
        self._stamps = {place.name: _stamp(place.path) for place in places}
        self._seen = dict(self._stamps)
        self._models = {place.name: Model.open(place, rule, max_pixels) for place in places}
        self._errors: dict[str, str] = {}

    def __iter__(self) -> Iterator[Model]:
        return iter(list(self._models.values()))

    def error_of(self, name: str) -> str | None:
        """Return the reason that the present file of a model is not served; None if it is."""
        return self._errors.get(name)

    def get(self, name: str | None) -> Model:
        """Return a model; without a name, the only one.

        Raises:
            RequestError: No model has that name (404), or several are served and none was named (400).
        """
        names = list(self._models)
        if name is None:
            if len(names) > 1:
                raise RequestError(400, f"several models are served; name one: ?model={names[0]} (of {_list(names)})")
            return self._models[names[0]]
        if name not in self._models:
            close = nearest(name, names, otherwise=f"; there is {_list(names)}")
            raise RequestError(404, f"no model has the name '{name[:100]}'{close}")
        return self._models[name]

    def look(self) -> list[Change]:
        """Open the files that have changed and have then stayed as they are since the last look."""
        changes = []
        for place in self._places:
            stamp = _stamp(place.path)
            settled = stamp == self._seen[place.name]
            self._seen[place.name] = stamp
            if stamp == self._stamps[place.name] or not settled:
                continue
            self._stamps[place.name] = stamp
            changes.append(self._take_up(place))
        return changes

    def _take_up(self, place: Place) -> Change:
        try:
            model = Model.open(place, self._rule, self._max_pixels)
        except (PennyweightError, OSError, MemoryError) as error:
            self._errors[place.name] = str(error) or type(error).__name__
            return Change(place, None, self._errors[place.name])
        self._models[place.name] = model
        self._errors.pop(place.name, None)
        return Change(place, model)


def places_of(bundles: Sequence[str]) -> list[Place]:
    """Return the names and files of bundles: NAME=PATH, a file, or a run that has one.

    A model has the name of its file without the ending, and of its folder for a run.

    Raises:
        InputError: Two have the same name, or a name holds other characters than letters, digits and . _ -.
        BundleError: A run has no bundle.
    """
    places: dict[str, Place] = {}
    for given in bundles:
        place = _place_of(given)
        if not place.name or not all(letter.isalnum() or letter in "._-" for letter in place.name):
            raise InputError(
                f"'{place.name}' cannot be the name of a model: letters, digits and . _ - can; name it: "
                f"my-model={place.path}"
            )
        if place.name in places:
            raise InputError(
                f"{places[place.name].path} and {place.path} have the same name, {place.name}; name one: "
                f"{place.name}-2={place.path}"
            )
        places[place.name] = place
    return list(places.values())


def _place_of(given: str) -> Place:
    name, equals, rest = given.partition("=")
    if not equals or os.path.lexists(given):
        name, rest = "", given
    path = Path(rest)
    if not path.is_dir():
        return Place(name or path.stem, path)
    if not is_run_folder(path):
        raise BundleError(f"{path} is a folder, and a bundle is a file, such as {path / 'model.onnx'}")
    bundle = RunFolder(path).bundle_path
    if not bundle.exists():
        raise BundleError(f"{path} has no bundle yet; make it with: pennyweight export {path}")
    return Place(name or path.absolute().name, bundle)


def _stamp(path: Path) -> Stamp | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _list(names: Sequence[str]) -> str:
    return ", ".join(names[:10]) + ", …" * (len(names) > 10)
