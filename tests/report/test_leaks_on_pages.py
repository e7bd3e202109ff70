"""Pages say how many twins a cluster has, and on how many independent pictures trivial classifiers are scored."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pennyweight.report.contact_sheet import contact_sheet
from pennyweight.report.leaks import Leaks, Shown
from pennyweight.report.run_page import run_page

SCORE = {"name": "the mean color", "accuracy": 0.5, "interval": [0.4, 0.6], "chance": 0.5, "control": None, "count": 90}
SHOWN = Shown(np.zeros((8, 8, 3), np.uint8), "cats/scene_01.jpg", "cats", "training")


@pytest.mark.parametrize(("count", "said"), [(2, False), (12, True)])
def test_a_cluster_says_how_many_pictures_are_not_shown(parts: dict[str, Any], count: int, said: bool) -> None:
    page = run_page(**{**parts, "leaks": Leaks(clusters=1, pictures=count, largest=[([SHOWN] * 2, count)])})
    assert f"1 cluster of twins, {count} pictures" in page
    assert ("and 10 more" in page) == said
    assert "cats/<wbr>scene_<wbr>01" in page


@pytest.mark.parametrize(("count", "where"), [(70, "on the same test pictures"), (90, "on 90 pictures of test and")])
def test_a_report_says_on_which_pictures_trivial_classifiers_are_scored(
    parts: dict[str, Any], count: int, where: str
) -> None:
    run = {**parts["run"], "shortcuts": [{**SCORE, "count": count}]}
    assert where in run_page(**{**parts, "run": run})


@pytest.mark.parametrize(("effective", "said"), [(None, False), (90.0, False), (9.6, True)])
def test_a_contact_sheet_says_how_many_scored_pictures_are_independent(effective: float | None, said: bool) -> None:
    facts = {"source": "pets", "sound": True, "verdict": "sound", "counts": {"cat": 1}, "splits": None, "notes": []}
    page = contact_sheet(
        {**facts, "findings": [], "shortcuts": [{**SCORE, "effective_images": effective}]}, {}, shown=5
    )
    assert ("about 10 of the 90 pictures are independent" in page) == said
