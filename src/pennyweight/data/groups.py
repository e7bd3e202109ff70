"""Groups of pictures that stay in one split: those of one folder, or those whose names share a part."""

from __future__ import annotations

import re
from dataclasses import replace

from pennyweight.core.errors import InputError
from pennyweight.core.text import composed
from pennyweight.data.source import Source

__all__ = ["FOLDER", "group_samples"]

FOLDER = "folder"
"""Value of `group_by` that groups by folder."""


def group_samples(source: Source, group_by: str) -> Source:
    """Return the source with a group for each sample. Raises InputError when `group_by` matches no sample."""
    if any(sample.group is not None for sample in source.samples):
        return _add_note(source, group_by)  # the reader took groups from a column
    if group_by == FOLDER:
        groups = [sample.name.rpartition("/")[0] or None for sample in source.samples]
    else:
        try:
            pattern = re.compile(composed(group_by))
        except re.error as error:
            raise InputError(f"--group-by '{group_by}' is no regular expression: {error}") from error
        if pattern.groups != 1:
            raise InputError(
                f"--group-by '{group_by}' is no column of {source.name}; give a column of a manifest, 'folder', or a "
                "regular expression with one group, such as '(patient[0-9]+)'"
            )
        matches = [pattern.search(composed(sample.name)) for sample in source.samples]
        groups = [found[1] if found else None for found in matches]
    if not any(groups):
        raise InputError(f"--group-by '{group_by}' finds no group in names such as {source.samples[0].name}")
    samples = tuple(replace(sample, group=group) for sample, group in zip(source.samples, groups, strict=True))
    return _add_note(replace(source, samples=samples), group_by)


def _add_note(source: Source, group_by: str) -> Source:
    count = len({sample.group for sample in source.samples if sample.group is not None})
    return replace(source, group_by=group_by, notes=(*source.notes, f"{count} groups stay together ({group_by})"))
