"""Contact sheet of the doctor as one HTML page: its findings with their pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from pennyweight.core.images import Pixels
from pennyweight.report.inline import thumbnail
from pennyweight.report.network_inputs import NetworkInputs
from pennyweight.report.render import render

__all__ = ["contact_sheet"]


def contact_sheet(
    diagnosis: Mapping[str, Any],
    pictures: Mapping[str, Pixels | None],
    *,
    shown: int,
    inputs: NetworkInputs | None = None,
) -> str:
    """Return the findings on a source of pictures as a page.

    Args:
        diagnosis: Findings and counts, as `Diagnosis.to_dict` gives them.
        pictures: Thumbnails (h, w, 3) by name; None for a picture that cannot be read.
        shown: Most findings of a kind that are shown.
        inputs: Pictures as they enter a network; None without one.
    """
    findings: Sequence[Mapping[str, Any]] = diagnosis["findings"]
    kinds = [
        {
            "name": name,
            "severity": group[0]["severity"],
            "meaning": group[0]["meaning"],
            "count": len(group),
            "findings": group[:shown],
        }
        for name, group in ((name, list(found)) for name, found in groupby(findings, key=lambda f: f["kind"]))
    ]
    images = {name: None if pixels is None else thumbnail(pixels) for name, pixels in pictures.items()}
    return render("contact_sheet.html", diagnosis=diagnosis, kinds=kinds, images=images, inputs=inputs)
