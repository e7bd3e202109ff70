"""Every page is made of one base template, with the same head, style and colors of plots."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pennyweight.report import render
from pennyweight.report.contact_sheet import contact_sheet
from pennyweight.report.cost_page import cost_page
from pennyweight.report.experiments_page import experiments_page
from pennyweight.report.network_inputs import NetworkInput, NetworkInputs
from pennyweight.report.run_page import run_page

PARTS = {"base.html", "facts.html", "leaks.html", "least_typical.html", "network_inputs.html"}


def test_every_template_extends_the_base() -> None:
    templates = {path.name: path.read_text(encoding="utf-8") for path in render.FOLDER.glob("*.html")}
    assert len(templates) > len(PARTS)
    for name in templates.keys() - PARTS:
        assert templates[name].startswith('{% extends "base.html" %}'), name
        assert "<head>" not in templates[name]


@pytest.fixture
def pages(parts: dict[str, Any], weighed: Callable[..., Any]) -> list[str]:
    finding = {"kind": "tiny", "severity": "note", "meaning": "m", "pictures": ["a.png"], "detail": "8×8"}
    score = {
        "name": "the mean color",
        "accuracy": 0.5,
        "interval": [0.4, 0.6],
        "chance": 0.5,
        "control": None,
        "count": 9,
    }
    diagnosis = {
        "source": "pets",
        "sound": True,
        "verdict": "sound",
        "counts": {"cat": 1},
        "splits": None,
        "notes": [],
        "shortcuts": [score],
        "findings": [finding],
    }
    row = {"label": "1:1", "macs": 1, "traffic_bytes": 1, "ms": 1.0, "quartiles_ms": (0.9, 1.1)}
    return [
        run_page(**parts),
        cost_page([weighed("mine", 3)], limits=None, machine=["m"], meanings={}),
        contact_sheet(diagnosis, {"a.png": np.zeros((8, 8, 3), np.uint8)}, shown=5),
        experiments_page([("G1", [row])], ["measured"]),
    ]


def test_pages_share_their_head_and_ask_for_nothing(pages: list[str]) -> None:
    heads = {re.sub(r"<title>.*</title>", "", page[: page.index("<body")]) for page in pages}
    assert len(heads) == 1
    assert "default-src 'none'" in heads.pop()
    for page in pages:
        assert page.count("<h1>") == 1
        assert not re.search(r"<script|(?:src|href)=\"(?!data:|#)", page)


def test_a_long_name_breaks_after_its_separators_and_stays_text() -> None:
    name = "dogs/the_same-<b>&.jpg\u202e"
    shown = str(render._breakable(name))
    assert shown == "dogs/<wbr>the_<wbr>same-<wbr>&lt;b&gt;&amp;.<wbr>jpg\\<wbr>u202e"
    assert html.unescape(shown.replace("<wbr>", "")) == name.replace("\u202e", "\\u202e")


def test_a_picture_of_the_contact_sheet_breaks_after_its_separators(pages: list[str]) -> None:
    assert any("<code>a.<wbr>png</code>" in page for page in pages)


def test_dark_colors_are_for_screens_alone() -> None:
    style = render._style()
    assert "prefers-color-scheme: dark" in style
    assert "@media (prefers-color-scheme" not in style
    assert style.count("@media screen and (prefers-color-scheme: dark)") == 2


@pytest.mark.parametrize(
    ("height", "width", "wide"), [(16, 64, True), (32, 64, True), (32, 48, False), (64, 16, False)]
)
def test_long_pictures_of_the_network_get_wide_tiles(height: int, width: int, wide: bool) -> None:
    seen = NetworkInput(np.zeros((height, width, 3), np.uint8), "a.png", "cat")
    inputs = NetworkInputs(
        training=[seen], validation=[seen], network="net", shape=(3, height, width), changes=("mirrored",)
    )
    empty = {"source": "pets", "sound": True, "verdict": "sound", "counts": {"cat": 1}, "splits": None, "notes": []}
    page = contact_sheet({**empty, "shortcuts": [], "findings": []}, {}, shown=5, inputs=inputs)
    assert page.count('class="mistakes inputs wide"') == 2 * wide
    assert page.count('class="mistakes inputs"') == 2 * (not wide)
