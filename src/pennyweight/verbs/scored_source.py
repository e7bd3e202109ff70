"""Open the source that an evaluation scores: the one of the training, or another."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

from pennyweight import data
from pennyweight.core.errors import InputError, PennyweightError, SourceError
from pennyweight.core.files import expanded
from pennyweight.core.offline import is_remote, untrusted_address
from pennyweight.core.run import Run
from pennyweight.data.corrections import apply_corrections, read_corrections
from pennyweight.runtime import Bundle
from pennyweight.verbs.load import Trained

__all__ = [
    "UNCORRECTED",
    "Origin",
    "open_scored_source",
    "open_training_source",
    "origin_of",
    "split_as_trained",
    "splits_as_trained",
]


UNCORRECTED = "labels are as the files have them"
"""Start of the note on a source to which the corrections of the training are not applied."""


@dataclass(frozen=True)
class Origin:
    """Training pictures of a run, a bundle or a network; None for a field that it does not record."""

    where: str
    """The run's folder, the bundle's file or the network's name."""
    address: str | None = None
    fingerprint: str | None = None
    group_by: str | None = None
    read_as: Mapping[str, Any] | None = None
    twins: data.TwinRule = "keep"
    """Rule for pictures of the same moment in its split; of a run before there was one, "keep"."""
    folds: int | None = None
    """Number of folds, in which all pictures were scored and learned from; None for a split."""

    def has_content_of(self, source: data.Source) -> bool:
        """Return True where the source has the very files of the training."""
        return self.fingerprint == source.fingerprint

    def is_source(self, source: data.Source) -> bool:
        """Return True where the source is the one of the training, by its content or by its address."""
        return self.has_content_of(source) or self.address == source.address


def origin_of(trained: Trained) -> Origin:
    """Return the record of the training pictures."""
    if isinstance(trained, Run):
        record = trained.info.data
        return Origin(
            str(trained.folder),
            record.address,
            record.fingerprint,
            record.group_by,
            record.read_as,
            _rule(record.twins),
            record.folds,
        )
    where, known = (
        (str(trained.path), trained.manifest.data or {})
        if isinstance(trained, Bundle)
        else (trained.model["name"], trained.data or {})
    )
    return Origin(
        where,
        known.get("name"),
        known.get("fingerprint"),
        known.get("group_by"),
        twins=_rule(known.get("twins")),
        folds=known.get("folds"),
    )


def _rule(recorded: Any) -> data.TwinRule:
    return recorded if recorded in get_args(data.TwinRule) else "keep"


def _address(source: str | os.PathLike[str]) -> str:
    """Return the address that `data.open` gives to a path."""
    path = expanded(source)
    return str(path.resolve()) if _exists(path) else os.fspath(source)


def _exists(path: str | os.PathLike[str]) -> bool:
    """Return whether there is a file or folder; a long list of shards in braces, for which Path raises, is neither."""
    return os.path.exists(path)  # noqa: PTH110


def open_scored_source(
    source: data.AnySource | None,
    trained: Trained,
    origin: Origin,
    read_as: data.ReadAs | Mapping[str, Any] | None,
) -> data.Source:
    """Open the source to score, in the groups of the training where it is the same; None is the source of the training.

    Raises SourceError for a source that is not here, or whose content is another than in training; InputError where the
    training source is not recorded.
    """
    opened = _open(source, origin, read_as)
    moved = isinstance(trained, Run) and opened.address == origin.address
    if source is None and not origin.has_content_of(opened) and not moved:
        # A source that is known by its name alone may be another folder of that name.
        raise SourceError(
            f"'{origin.address}' here is not what {origin.where} was trained on; say what to score: "
            f"evaluate {origin.where} SOURCE"
        )
    if origin.is_source(opened) and origin.group_by and not isinstance(source, data.Source):
        # The same groups give the same splits.
        again = opened.address if source is None or isinstance(source, (str, os.PathLike)) else source
        return data.open(again, group_by=origin.group_by, read_as=opened.read_as, least_classes=1)
    return opened


def open_training_source(trained: Trained, origin: Origin, *, needed_by: str, otherwise: str = "") -> data.Source:
    """Open the source of the training for what `needed_by` names.

    Raises SourceError where it is not here, with `otherwise`, which says what else can be done.
    """
    try:
        return open_scored_source(None, trained, origin, None)
    except PennyweightError as error:
        raise SourceError(f"{needed_by} needs pictures of the training ({error}){otherwise}") from error


def _open(
    source: data.AnySource | None,
    origin: Origin,
    read_as: data.ReadAs | Mapping[str, Any] | None,
) -> data.Source:
    """Open a source, or the one of the training as it was read then; `read_as` takes precedence."""
    if source is not None:
        if read_as is None and isinstance(source, (str, os.PathLike)) and _address(source) == origin.address:
            read_as = origin.read_as
        opened = _open_pictures(source, read_as)
        return _corrected_as_trained(opened, origin) if read_as is None else opened
    if origin.address is not None and data.is_passed(origin.address):
        raise SourceError(
            f"{origin.where} was trained on pictures that a program passed, and no name opens them again; pass them, "
            "or name others: pw.evaluate(run, source)"
        )
    if origin.address is None:
        raise InputError(f"{origin.where} does not say what it was trained on; say what to score: SOURCE")
    try:
        with untrusted_address(origin.where, origin.address, ask=f"evaluate {origin.where} {origin.address}"):
            return data.open(origin.address, read_as=origin.read_as if read_as is None else read_as)
    except SourceError as error:
        table = (origin.read_as or {}).get("corrections")
        there = _exists(origin.address) or (table is not None and table in str(error))
        raise SourceError(
            f"the pictures that {origin.where} was trained on "
            + (f"cannot be opened as they were then: {error}" if there else f"are not here ({origin.address})")
            + f"; name others: evaluate {origin.where} SOURCE"
        ) from error


def _corrected_as_trained(opened: data.Source, origin: Origin) -> data.Source:
    """Return the source with the corrections of the training where they make it the one of the training.

    Other sources with pictures that the table corrects have a note that it is not applied.
    """
    table = (origin.read_as or {}).get("corrections")
    if table is None or opened.streamed or opened.read_as.get("corrections") or origin.has_content_of(opened):
        return opened
    reason = f"with other pictures, {opened.name} is not the source of {origin.where}"
    try:
        if is_remote(table):
            raise SourceError(f"{table} lies on another machine")
        rows = read_corrections(Path(table))
    except SourceError as error:
        reason = str(error)
    else:
        with suppress(SourceError):
            if origin.has_content_of(corrected := apply_corrections(opened, Path(table))):
                return corrected
        if {row.digest for row in rows}.isdisjoint(sample.digest for sample in opened.samples):
            return opened
    line = f"{UNCORRECTED}, and {origin.where} was trained with corrections ({table}): {reason}"
    return replace(opened, notes=(*opened.notes, line))


def _open_pictures(source: data.AnySource, read_as: data.ReadAs | Mapping[str, Any] | None) -> data.Source:
    """Open a source of any number of classes, or a folder of pictures that is one class."""
    try:
        return data.open(source, read_as=read_as, least_classes=1)
    except SourceError:
        lone = data.read_class_folder(Path(source)) if isinstance(source, (str, os.PathLike)) else None
        if lone is None:
            raise
        return lone


def splits_as_trained(opened: data.Source, origin: Origin) -> data.Splits:
    """Divide the source of a training as the training did: twins are searched, and treated by its rule."""
    glances = data.glance_at(opened)
    return split_as_trained(opened, None if glances is None else data.twins_among(glances), origin)


def split_as_trained(opened: data.Source, twins: data.Twins | None, origin: Origin) -> data.Splits:
    """Divide the source of a training as the training did; in folds all of its pictures are training pictures."""
    if origin.folds is not None:
        return data.in_folds(opened, twins, origin.twins, origin.folds)
    return data.split_by_rule(opened, twins, origin.twins)
