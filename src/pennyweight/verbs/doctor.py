"""`doctor`: the faults of a source of pictures."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pennyweight import data
from pennyweight.core.errors import InputError
from pennyweight.core.files import require_new, write_text
from pennyweight.core.formats import allow_pixels
from pennyweight.data.checks.diagnosis import Diagnosis
from pennyweight.data.checks.doctor import diagnose, thumbnail

__all__ = ["doctor"]

SHOWN = 24
"""Most findings of a kind on the contact sheet."""
ALIKE = 4
"""Most pictures of one finding on the contact sheet."""
SIDE = 160


def doctor(
    source: data.AnySource,
    *,
    group_by: str | None = None,
    read_as: data.ReadAs | Mapping[str, Any] | None = None,
    quick: bool = False,
    max_pixels: int | None = None,
    html: str | os.PathLike[str] | None = None,
    network: str | os.PathLike[str] | None = None,
    advance: Callable[[int], None] = lambda count: None,
) -> Diagnosis:
    """Look at every picture of a source, and report its faults: unreadable files, twins, odd sizes and more.

    Args:
        source: Source that `pw.fit` takes: a folder, a file, a named set, or what a program has, such as arrays.
        group_by: Groups of pictures that stay in one split, as `pw.fit` takes it.
        read_as: Columns, folder, ending and label_from of a source whose files do not say them.
        quick: Skip the search for twins.
        max_pixels: Pixels of the largest picture to read; by default 80 million.
        html: New file of a contact sheet to write.
        network: Network's name, "auto" or a run's folder: `html` shows the pictures as they enter it.
        advance: Callback that is given the number of pictures after each step.

    Returns:
        The diagnosis: `sound`, the `findings` with kind, severity and pictures, and `counts` of pictures by class.

    Raises:
        SourceError: There is no source of that name.
        InputError: `html` exists already, `network` comes without it, or an argument cannot be used.
    """
    if network is not None and html is None:
        raise InputError(f"pictures as {os.fspath(network)} sees them are shown on a page: add --html FILE")
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
        inputs = None
        if network is not None:
            from pennyweight.verbs.network_inputs import inputs_as

            failed = frozenset(
                name for kind in ("unreadable", "bands") for each in found.of(kind) for name in each.pictures
            )
            inputs, view, notes = inputs_as(opened, network, view=found.view, unreadable=failed, max_pixels=max_pixels)
            found = replace(found, notes=(*found.notes, *notes), view=view)
        write_text(Path(html), contact_sheet(found.to_dict(), pictures, shown=SHOWN, inputs=inputs))
    return found
