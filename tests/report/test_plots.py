"""Plots: the same values give the same bytes, names are taken literally, and what is missing does no harm."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from pennyweight.report import cost_plots, palette, plots, render

EPOCHS = [
    {"epoch": epoch, "train_loss": 1 / epoch, "val_loss": 1.2 / epoch, "train_accuracy": 0.9, "val_accuracy": 0.8}
    for epoch in range(1, 6)
]


def words(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter() if element.tag.endswith("}text")]


def drawn_elsewhere(call: str, cwd: Path | None = None) -> str:
    code = f"import sys; from pennyweight.report.plots import *; sys.stdout.buffer.write({call}.encode())"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, cwd=cwd).stdout.decode()


def diagonal(classes: int) -> list[list[int]]:
    return [[7 if row == column else 0 for column in range(classes)] for row in range(classes)]


def test_a_learning_curve_has_its_numbers_of_pictures_and_its_intervals() -> None:
    points = [
        {"pictures": count, "accuracy": accuracy, "accuracy_interval": [accuracy - 0.1, accuracy + 0.1]}
        for count, accuracy in ((30, 0.6), (60, 0.7), (120, 0.8))
    ]
    drawn = plots.learning_curve(points)
    assert {"30", "60", "120", "pictures to learn from", "accuracy"} <= set(words(drawn))
    assert "Accuracy by the number of pictures to learn from" in drawn
    assert drawn == plots.learning_curve(points)


@pytest.mark.slow
def test_plots_are_the_same_in_another_process() -> None:
    for here, call in (
        (plots.loss_curves(EPOCHS, best=3), f"loss_curves({EPOCHS!r}, best=3)"),
        (plots.confusion_matrix([[3, 1], [0, 4]], ["a", "b"]), "confusion_matrix([[3, 1], [0, 4]], ['a', 'b'])"),
    ):
        assert drawn_elsewhere(call) == here


def test_the_users_matplotlib_settings_do_not_show(tmp_path: Path) -> None:
    (tmp_path / "matplotlibrc").write_text("lines.linewidth: 9\nfont.size: 30\naxes.facecolor: red\n")
    assert drawn_elsewhere(f"loss_curves({EPOCHS!r})", cwd=tmp_path) == plots.loss_curves(EPOCHS)


@pytest.mark.parametrize("draw", [plots.loss_curves, plots.accuracy_curves])
def test_curves_name_their_lines_and_mark_the_best_epoch(draw: Any) -> None:
    svg = draw(EPOCHS, best=3)
    assert {"training", "validation", "best epoch (3)", "epoch"} <= set(words(svg))
    assert "best" not in "".join(words(draw(EPOCHS)))


@pytest.mark.parametrize(
    "epochs",
    [
        EPOCHS[:1],
        [{"epoch": 1, "train_loss": math.nan, "val_loss": math.inf}, {"epoch": 2, "train_loss": 0.5, "val_loss": None}],
        [{"epoch": 1}],
    ],
    ids=["one epoch", "not finite", "nothing measured"],
)
def test_curves_of_little(epochs: list[dict[str, Any]]) -> None:
    assert "training" in words(plots.loss_curves(epochs, best=1))


def test_ids_of_different_plots_do_not_clash() -> None:
    drawn = [
        plots.loss_curves(EPOCHS),
        plots.accuracy_curves(EPOCHS),
        plots.confusion_matrix([[3, 1], [0, 4]], ["a", "b"]),
    ]
    ids = [name for svg in drawn for name in re.findall(r'\bid="([^"]+)"', svg)]
    assert len(ids) == len(set(ids))
    for svg in drawn:
        used = re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', svg)
        assert {a or b for a, b in used} <= set(re.findall(r'\bid="([^"]+)"', svg))


def test_a_confusion_matrix_shows_labels_and_counts() -> None:
    shown = words(plots.confusion_matrix([[1031, 4], [6, 29]], ["cats", "dogs"]))
    assert {"1,031", "4", "6", "29", "true class", "predicted class"} <= set(shown)
    assert shown.count("cats") == shown.count("dogs") == 2


@pytest.mark.parametrize("classes", [2, 10, 20, 30])
def test_counts_stand_in_the_cells_up_to_twenty_classes(classes: int) -> None:
    shown = words(plots.confusion_matrix(diagonal(classes), [f"c{index}" for index in range(classes)]))
    assert shown.count("7") == (classes if classes <= 20 else 0)
    assert shown.count("c0") == 2


def test_long_names_are_cut_short_and_stay_apart() -> None:
    shown = words(plots.confusion_matrix([[3, 1], [0, 4]], ["broccoli_green_weeds_1", "broccoli_green_weeds_2"]))
    cut = {word for word in shown if "…" in word}
    assert len(cut) == 2
    assert all(len(word) <= 16 for word in cut)


@pytest.mark.parametrize(
    "label", ["$5", "$\\frac{$", "<script>alert(1)</script>", "a\"b'c&d", "小猫", "a\x00\x1bb", ""]
)
def test_any_name_can_be_drawn(label: str) -> None:
    svg = plots.confusion_matrix([[3, 1], [0, 4]], [label, "other"])
    ElementTree.fromstring(svg)
    assert "<script" not in svg


def test_a_class_without_pictures_is_an_empty_row() -> None:
    shown = words(plots.confusion_matrix([[0, 0], [2, 5]], ["a", "b"]))
    assert {"2", "5"} <= set(shown)


def test_labels_that_do_not_fit_the_matrix_are_refused() -> None:
    with pytest.raises(ValueError, match=r"shape \(2, 2\) does not fit 3 labels"):
        plots.confusion_matrix(np.eye(2, dtype=int).tolist(), ["a", "b", "c"])


def test_every_color_of_a_plot_follows_the_page() -> None:
    svgs = [
        plots.loss_curves(EPOCHS, best=3),
        plots.confusion_matrix([[3, 1], [0, 4]], ["a", "b"]),
        cost_plots.experiment_bars("t", ["a", "b"], [1.0, 2.0], [(0.9, 1.1), (1.8, 2.2)]),
        cost_plots.layer_bars(["a", "b"], [1.0, 2.0], unit="ms", bounds=["compute", "memory"], name="bars"),
        cost_plots.networks_scatter([{"name": "n", "macs": 10**6, "predicted_ms": 2.0}] * 2),
    ]
    for svg in svgs:
        paints = set(re.findall(r"(?:fill|stroke): ([^;\"]+)", svg))
        assert paints
        assert all(re.fullmatch(r"none|currentColor|var\(--plot-[a-z]+, #[0-9a-f]{6}\)", paint) for paint in paints)
        assert 'fill="currentColor"' in svg[: svg.index(">")]  # of text, which has no color of its own
        assert "<image" not in svg


def test_a_label_that_looks_like_a_style_stays_as_it_is() -> None:
    label = 'fill: #0072b2 id="x'
    assert any(label[:9] in word for word in words(plots.confusion_matrix([[3, 1], [0, 4]], [label, "other"])))
    assert "fill: #0072b2" in words(plots.confusion_matrix([[3, 1], [0, 4]], ["fill: #0072b2", "other"]))


def luminance(color: str, card: str | None = None, opacity: float = 1.0) -> float:
    levels = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    if card is not None:
        under = [int(card[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        levels = [opacity * over + (1 - opacity) * below for over, below in zip(levels, under, strict=True)]
    linear = [level / 12.92 if level <= 0.04045 else ((level + 0.055) / 1.055) ** 2.4 for level in levels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: float, other: float) -> float:
    """WCAG 2.2: 4.5 is the least for text, 3 for the parts of a plot."""
    return (max(one, other) + 0.05) / (min(one, other) + 0.05)


@pytest.mark.parametrize(("scheme", "card", "ink"), [("light", "#ffffff", "#1c1d1f"), ("dark", "#1f2226", "#e6e7e8")])
def test_plots_can_be_read_on_light_and_dark_pages(scheme: str, card: str, ink: str) -> None:
    style = render._style()
    assert f"--card: {card}" in style.replace("#fff;", "#ffffff;")
    assert f"--ink: {ink}" in style
    for color in (palette.BLUE, palette.VERMILION, palette.NAVY, palette.GRAY, palette.MARK):
        assert contrast(luminance(getattr(color, scheme)), luminance(card)) > 3, color
    full = luminance(getattr(palette.HEAT, scheme), card, plots.MOST_OPAQUE)
    assert contrast(full, luminance(ink)) > 4.5


def test_no_two_colors_of_plots_are_one() -> None:
    assert len({color.light for color in palette.PLOT_COLORS}) == len(palette.PLOT_COLORS)
    assert len({color.dark for color in palette.PLOT_COLORS}) == len(palette.PLOT_COLORS)
