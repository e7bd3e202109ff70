"""The doctor's contact sheet: findings with their pictures, on one HTML page that holds all it shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from pennyweight.core.images import Pixels
from pennyweight.report.page import environment, style, thumbnail

__all__ = ["contact_sheet"]


def contact_sheet(diagnosis: Mapping[str, Any], pictures: Mapping[str, Pixels | None], *, shown: int) -> str:
    """The page as text, to be written as UTF-8.

    `diagnosis` is what `Diagnosis.to_dict` gives; `pictures` are thumbnails (h, w, 3) by name, None for one that cannot
    be read. At most `shown` findings of a kind are shown.
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
    template = environment().get_template("contact_sheet.html")
    return template.render(diagnosis=diagnosis, kinds=kinds, images=images, style=style())
