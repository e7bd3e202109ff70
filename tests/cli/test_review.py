"""`review` and `suggest` on the command line: tables, files, and one line for what cannot be."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any


def test_a_review_is_printed_and_written(pennyweight: Callable[..., Any], run_folder: Path, tmp_path: Path) -> None:
    page, table = tmp_path / "page.html", tmp_path / "list.csv"
    done = pennyweight("review", run_folder, "--html", page, "--csv", table, "--count", "5")
    assert done.status == 0
    assert "Least likely labels" in done.out
    assert "of 48 labels are likely wrong" in done.out
    assert f"wrote {page}" in done.err.replace("\n", "")
    assert "Least likely labels: 5" in page.read_text(encoding="utf-8")
    assert len(table.read_text(encoding="utf-8-sig").splitlines()) == 49


def test_a_review_as_json_has_every_picture(pennyweight: Callable[..., Any], run_folder: Path) -> None:
    found = json.loads(pennyweight("review", run_folder, "--json").out)
    assert len(found["pictures"]) == 48
    assert {"picture", "label", "answer", "quality", "digest"} <= {*found["pictures"][0]}


def test_pictures_are_suggested(
    pennyweight: Callable[..., Any], run_folder: Path, draw_pictures: Callable[..., Path], tmp_path: Path
) -> None:
    more = draw_pictures(tmp_path / "more", 3, seed=5)
    done = pennyweight("suggest", run_folder, more, "--count", "2", "--html", tmp_path / "sheet.html")
    assert done.status == 0
    assert "2 of 6 pictures of more" in done.out
    assert (tmp_path / "sheet.html").read_text(encoding="utf-8").count("data:image/") == 2


def test_corrections_that_are_not_there_are_named(cannot: Callable[..., str], pictures: Path) -> None:
    line = cannot("fit", pictures, "--corrections", "gone.csv")
    assert "no corrections at" in line
    assert "pennyweight review" in line


def test_no_run_is_one_line(cannot: Callable[..., str], pictures: Path) -> None:
    assert "is not a run" in cannot("review", pictures)
