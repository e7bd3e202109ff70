"""`doctor`: whether a source is sound."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pennyweight import data
from pennyweight.core.files import require_new, write_text
from pennyweight.core.formats import allow_pixels
from pennyweight.data.checks.diagnosis import Diagnosis
from pennyweight.data.checks.doctor import diagnose, thumbnail

__all__ = ["doctor"]

SHOWN = 24
"""Findings of a kind that the contact sheet shows."""
ALIKE = 4
"""Pictures that it shows of one finding."""
SIDE = 160


def doctor(
    source: str | os.PathLike[str] | data.Source,
    *,
    group_by: str | None = None,
    read_as: data.ReadAs | Mapping[str, Any] | None = None,
    quick: bool = False,
    max_pixels: int | None = None,
    html: str | os.PathLike[str] | None = None,
    advance: Callable[[int], None] = lambda count: None,
) -> Diagnosis:
    """Look at every picture of a source and say what is wrong with it; `html` is where a contact sheet goes.

    `quick` leaves out near duplicates; pictures of more than `max_pixels` (80 million) cannot be read. `advance(n)` is
    called after every n pictures. Raises SourceError for what is no source, InputError where `html` exists already.
    """
    if html is not None:
        require_new(Path(html))
    allow_pixels(max_pixels)
    opened = data.open(source, group_by=group_by, read_as=read_as, strict=False)
    found = diagnose(opened, quick=quick, max_pixels=max_pixels, advance=advance)
    if html is not None:
        from pennyweight.report.contact_sheet import contact_sheet

        samples = {sample.name: sample for sample in opened.samples}
        pictures = {}
        for kind in {finding.kind for finding in found.findings}:
            for finding in found.of(kind)[:SHOWN]:
                for name in finding.pictures[:ALIKE]:
                    if name in samples and name not in pictures:
                        pictures[name] = thumbnail(samples[name], SIDE, found.levels, max_pixels)
        write_text(Path(html), contact_sheet(found.to_dict(), pictures, shown=SHOWN))
    return found
