"""`fit` leaves out changes of pictures that contradict the labels, says so, and keeps that in the run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from PIL import Image

import pennyweight as pw
from pennyweight.core.errors import InputError
from pennyweight.train.contradictions import Findings, Pair
from pennyweight.verbs.fitting import check_augmentation

FitSmall = Callable[..., pw.Run]
LONG = {"epochs": 8, "batch": 32}
"""Just long enough to be checked."""


@pytest.fixture(scope="module")
def letters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of b and d, 16 pixels a side."""
    root, draw = tmp_path_factory.mktemp("letters") / "letters", np.random.default_rng(0)
    glyph = np.zeros((9, 6), bool)
    glyph[:, :2] = glyph[4:6] = glyph[8:] = glyph[4:, 4:] = True
    for name, drawn in (("b", glyph), ("d", glyph[:, ::-1])):
        (root / name).mkdir(parents=True)
        for number in range(120):
            pixels = draw.normal(128, 12, (16, 16, 3))
            y, x = draw.integers(0, 7), draw.integers(0, 10)
            pixels[y : y + 9, x : x + 6][drawn] = 30
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(root / name / f"{number:03d}.png")
    return root


@pytest.fixture
def finding(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`finding(flip=[(0, 1, True)])`: the check finds this and takes no time."""

    def find(
        told: tuple[int, int] = (1, 1), more: Mapping[str, Any] = MappingProxyType({}),
        **lost: list[tuple[int, int, bool]],
    ) -> None:  # fmt: skip
        pairs = {name: [Pair(*pair) for pair in pairs] for name, pairs in lost.items()}
        found = Findings(told=told, lost=pairs, **more)
        monkeypatch.setattr(check_augmentation, "_find", lambda *_: found)

    return find


@pytest.fixture
def begin(fit_small: FitSmall, stop_at: Callable[[int], None], tmp_path: Path) -> Callable[..., pw.Run]:
    """`begin(letters, recipe=…)`: a run stopped in its first step. Its record says what was decided."""

    def begin(source: Path, out: str = "run", **options: Any) -> pw.Run:
        stop_at(1)
        with pytest.raises(KeyboardInterrupt):
            fit_small(source, out=tmp_path / out, **options)
        return pw.Run(tmp_path / out)

    return begin


def test_mirroring_is_left_out_where_b_and_d_become_each_other(
    letters: Path, fit_small: FitSmall, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = fit_small(letters, out=tmp_path / "run", recipe=LONG, progress=True)
    line = "mirroring left out: b and d become each other; --set flip=true keeps it"
    assert line in capfd.readouterr().err
    assert run.record["recipe"]["flip"] is False
    assert run.record["recipe"]["shift"] == 0.125
    found = run.record["augmentation"]
    assert found["left_out"] == {"flip": [["b", "d"]]}
    assert found["seconds"] > 0
    assert line in run.record["why"]


def test_what_the_user_set_stays_and_is_said(
    letters: Path, begin: Callable[..., pw.Run], finding: Callable[..., None]
) -> None:
    finding(flip=[(0, 1, True)])
    run = begin(letters, recipe={**LONG, "flip": True})
    assert run.record["recipe"]["flip"] is True
    (line,) = run.record["augmentation"]["notes"]
    assert line == "mirroring stays, as it was set, but it contradicts the labels: b and d become each other"


def test_single_changes_of_a_policy_are_left_out(
    letters: Path, begin: Callable[..., pw.Run], finding: Callable[..., None]
) -> None:
    finding(color=[(0, 1, False)], rotate=[(0, 1, True)])
    run = begin(letters, recipe={**LONG, "policy": "trivial"})
    assert run.record["recipe"]["without"] == ["color", "rotate"]
    assert "color of policy trivial left out: b and d look alike; --set without=none keeps it" in run.record["why"]
    again = begin(letters, "again", recipe={**LONG, "policy": "trivial", "without": "none"})
    assert "without" not in again.record["recipe"]


@pytest.mark.slow
def test_a_resumed_run_keeps_what_was_left_out(
    letters: Path, fit_small: FitSmall, finding: Callable[..., None], tmp_path: Path,
    stop_at: Callable[[int], None], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    finding(flip=[(0, 1, True)])
    whole = fit_small(letters, out=tmp_path / "whole", recipe=LONG)
    with monkeypatch.context():
        stop_at(7)
        with pytest.raises(KeyboardInterrupt):
            fit_small(letters, out=tmp_path / "run", recipe=LONG)
    finding(shift=[(0, 1, False)])  # another answer now
    resumed = fit_small(letters, out=tmp_path / "run", recipe=LONG, resume=True)
    assert resumed.record["recipe"] == whole.record["recipe"]
    assert not resumed.record["recipe"]["flip"]
    weights = [Path(run.folder, "weights.safetensors").read_bytes() for run in (whole, resumed)]
    assert weights[0] == weights[1]


@pytest.mark.slow
def test_a_check_that_leaves_nothing_out_changes_no_bit_of_the_training(
    shapes: Path, fit_small: FitSmall, tmp_path: Path
) -> None:
    recipe = {"epochs": 12, "batch": 32}
    runs = {rule: fit_small(shapes, out=tmp_path / rule, recipe=recipe, augment=rule) for rule in ("check", "keep")}
    assert runs["check"].record["augmentation"]["left_out"] == {}
    assert runs["check"].record["recipe"] == runs["keep"].record["recipe"]
    weights = [Path(run.folder, "weights.safetensors").read_bytes() for run in runs.values()]
    assert weights[0] == weights[1]


@pytest.mark.parametrize(
    "options",
    [
        {"augment": "keep"},
        pytest.param({"recipe": {**LONG, "flip": False, "shift": 0}}, marks=pytest.mark.slow),
        {"recipe": {**LONG, "mode": "head"}, "folds": 1},
    ],
    ids=["keep", "no changes", "features of pictures as they are"],
)
def test_nothing_is_tried_where_there_is_nothing_to_try(
    letters: Path, begin: Callable[..., pw.Run], monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    def fail(*_: object) -> Findings:
        raise AssertionError("pictures were tried")

    monkeypatch.setattr(check_augmentation, "_find", fail)
    run = begin(letters, **{"recipe": LONG, **options})
    assert "augmentation" not in run.record


def test_classes_that_are_not_told_apart_are_said(
    letters: Path, begin: Callable[..., pw.Run], finding: Callable[..., None]
) -> None:
    finding(told=(0, 1))
    run = begin(letters, recipe=LONG)
    assert run.record["recipe"]["flip"] is True
    assert "augmentation was not checked" in run.record["augmentation"]["notes"][0]


def test_a_training_too_short_for_the_check_is_said(
    letters: Path, begin: Callable[..., pw.Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check_augmentation, "_find", lambda *_: pytest.fail("pictures were tried"))
    (line,) = begin(letters, recipe={"epochs": 2, "batch": 32}).record["augmentation"]["notes"]
    assert line == (
        "augmentation was not checked against the labels: training shows fewer than 800 pictures, counting repeats"
    )


@pytest.mark.parametrize(
    ("told", "more", "names"),
    [
        ((5, 6), {}, "1 of 6 pairs of classes"),
        ((5, 6), {"untold": [(0, 1)]}, "b and d"),
        ((400, 4_950), {"untold": [(0, 1)] * 4_550}, "4,550 of 4,950 pairs of classes"),
    ],
)
def test_pairs_of_classes_that_are_not_told_apart_are_said(
    letters: Path, begin: Callable[..., pw.Run], finding: Callable[..., None], told: tuple[int, int],
    more: dict[str, Any], names: str,
) -> None:  # fmt: skip
    finding(told, more)
    (line,) = begin(letters, recipe=LONG).record["augmentation"]["notes"]
    assert line == f"augmentation was not checked for {names}: a quick network did not tell them apart"


def test_classes_without_scored_pictures_are_said(
    letters: Path, begin: Callable[..., pw.Run], finding: Callable[..., None]
) -> None:
    finding(more={"unscored": [1]})
    (line,) = begin(letters, recipe=LONG).record["augmentation"]["notes"]
    assert line == "augmentation was not checked for d: no picture was left to score"


@pytest.mark.parametrize(
    ("more", "lost", "line"),
    [
        (
            {"undecided": ["solarize", "autocontrast", "equalize"], "seconds": 29.1},
            {},
            "solarize, autocontrast and equalize of policy trivial stay, but may make classes alike: 29 s were too few "
            "to find out; --set without=solarize,autocontrast,equalize leaves them out",
        ),
        (
            {"undecided": ["flip", "color"], "seconds": 10},
            {"rotate": [(0, 1, True)]},
            "mirroring and color of policy trivial stay, but may make classes alike: 10 s were too few to find out; "
            "--set flip=false --set without=rotate,color leave them out",
        ),
        (
            {"doubtful": ["shift"], "scored": 12},
            {},
            "shifting stays, but may make classes alike: 12 pictures to score were too few to find out; "
            "--set shift=0 leaves it out",
        ),
    ],
)  # fmt: skip
def test_changes_that_may_make_classes_alike_are_said_with_the_setting_that_leaves_them_out(
    letters: Path, begin: Callable[..., pw.Run], finding: Callable[..., None], more: dict[str, Any],
    lost: dict[str, Any], line: str,
) -> None:  # fmt: skip
    finding(more=more, **lost)
    run = begin(letters, recipe={**LONG, "policy": "trivial"})
    assert line == run.record["augmentation"]["notes"][-1]


def test_an_unknown_rule_is_refused(letters: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"augment is check, keep, or the findings of a run: .*, not 'off'"):
        pw.fit(letters, out=tmp_path / "run", augment="off")  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"augment has no left_out and notes, .* but \['flip'\]"):
        pw.fit(letters, out=tmp_path / "run", augment={"flip": False})


@pytest.mark.slow
def test_every_seed_has_the_recipe_of_the_first(
    letters: Path, fit_small: FitSmall, finding: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A busy machine may find something else the next time."""
    finding(flip=[(0, 1, True)])

    def fit(source: Any, _: str, **options: Any) -> pw.Run:
        run = fit_small(source, **options)
        finding(shift=[(0, 1, False)])
        return run

    monkeypatch.setattr("pennyweight.verbs.fitting.fit_seeds.fit", fit)
    pw.fit_seeds(letters, "mobilenet_v1_x0_25", seeds=2, recipe=LONG, input_size=None, out=tmp_path / "seeds")
    one, two = (pw.Run(tmp_path / "seeds" / f"seed-{seed}").record for seed in (0, 1))
    assert (one["recipe"]["flip"], one["recipe"]["shift"]) == (False, 0.125)
    for field in ("recipe", "preprocess", "augmentation"):
        assert one[field] == two[field]
    assert one["augmentation"]["notes"][0] in two["why"]


def test_findings_of_a_run_replace_the_check_and_what_the_user_set_stays(
    letters: Path, begin: Callable[..., pw.Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {"left_out": {"flip": [["b", "d"]], "rotate": [["b", "d"]]}, "notes": ["mirroring left out"]}
    recipe = {"epochs": 1, "batch": 32, "policy": "trivial"}
    assert not begin(letters, recipe=recipe, augment=found).record["recipe"]["flip"]
    run = begin(letters, "again", recipe={**recipe, "flip": True}, augment=found)
    assert run.record["recipe"]["flip"]
    assert run.record["recipe"]["without"] == ["rotate"]


def test_what_no_time_was_left_for_is_said(
    letters: Path, begin: Callable[..., pw.Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = Findings(told=(1, 1), untried=["flip", "shift"], seconds=10.2)
    monkeypatch.setattr(check_augmentation, "_find", lambda *_: tried)
    run = begin(letters, recipe=LONG)
    (line,) = run.record["augmentation"]["notes"]
    assert line == "not checked against the labels, because 10 s were too few: mirroring, shifting"


@pytest.mark.parametrize(("size", "reach"), [(96, 7 / 96), (16, 0.125)], ids=["within the margin", "repeated edges"])
def test_the_shift_is_tried_as_far_as_the_training_moves_pictures(
    letters: Path, begin: Callable[..., pw.Run], monkeypatch: pytest.MonkeyPatch, size: int, reach: float
) -> None:
    tried = []

    def find(*given: Any, **_: Any) -> Findings:
        tried.append(given[2].shift)
        return Findings(told=(1, 1))

    monkeypatch.setattr(check_augmentation, "find_contradictions", find)
    begin(letters, recipe=LONG, input_size=size)
    assert tried == [pytest.approx(reach)]
