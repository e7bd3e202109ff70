"""Groups of pictures that stay in one split: by folder, by a part of their names, or by EXIF metadata."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from pennyweight.core.errors import InputError
from pennyweight.core.reasons import such_as
from pennyweight.core.text import composed
from pennyweight.data.exif_groups import PREFIX, exif_groups
from pennyweight.data.source import Sample, Source

__all__ = ["FOLDER", "group_names", "group_samples", "without_group"]

FOLDER = "folder"
"""Value of `group_by` that groups by folder."""


def group_samples(source: Source, group_by: str) -> Source:
    """Return the source with a group for each sample. Raises InputError when `group_by` matches no sample."""
    if any(sample.group is not None for sample in source.samples):
        return _add_note(source, group_by)  # the reader took groups from a column
    if group_by.lower().startswith(PREFIX):
        groups = exif_groups(source, group_by)
    else:
        groups = group_names([sample.name for sample in source.samples], group_by, source=source.name)
    samples = tuple(replace(sample, group=group) for sample, group in zip(source.samples, groups, strict=True))
    return _add_note(replace(source, samples=samples), group_by)


def group_names(names: Sequence[str], group_by: str, *, source: str) -> list[str | None]:
    """Return the group of each name by folder or by a regular expression.

    Args:
        names: Names of pictures, paths within their source.
        group_by: "folder", or a regular expression with one group.
        source: Name of the source, for errors.

    Raises:
        InputError: No regular expression with one group, or no name matches.
    """
    if group_by == FOLDER:
        groups = [name.rpartition("/")[0] or None for name in names]
    else:
        try:
            pattern = re.compile(composed(group_by))
        except re.error as error:
            raise InputError(f"--group-by '{group_by}' is no regular expression: {error}") from error
        if pattern.groups != 1:
            raise InputError(
                f"--group-by '{group_by}' is no column of {source}; give a column of a manifest, 'folder', an EXIF tag "
                "such as 'exif:Model', or a regular expression with one group, such as '(patient[0-9]+)'"
            )
        matches = [pattern.search(composed(name)) for name in names]
        groups = [found[1] if found else None for found in matches]
    if not any(groups):
        raise InputError(f"--group-by '{group_by}' finds no group in names such as {names[0]}")
    return groups


def without_group(samples: Sequence[Sample]) -> str:
    """Return how many samples have no group, with examples, as text; empty if all have one."""
    alone = [sample.name for sample in samples if sample.group is None]
    return f"{len(alone):,} of {len(samples):,} pictures have no group, such as {such_as(alone)}" if alone else ""


def _add_note(source: Source, group_by: str) -> Source:
    count = len({sample.group for sample in source.samples if sample.group is not None})
    said = "1 group stays together" if count == 1 else f"{count} groups stay together"
    alone = without_group(source.samples)
    lines = (f"{said} ({group_by})", *([f"{alone}: each is a group of its own"] if alone else ()))
    return replace(source, group_by=group_by, notes=(*source.notes, *lines))
