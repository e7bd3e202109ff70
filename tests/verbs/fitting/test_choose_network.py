"""Several networks with weights at hand: features of each answer the same pictures in folds, and one is kept."""

from __future__ import annotations

import hashlib
import json
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import models

import pennyweight as pw
from pennyweight import zoo
from pennyweight.core.errors import InputError
from pennyweight.core.run import latest_run_folder, next_run_folder
from pennyweight.report.progress import Phase
from pennyweight.verbs.fitting import choose_network
from pennyweight.verbs.fitting.first_weights import as_begun
from pennyweight.verbs.fitting.fit_seeds import fit_seeds
from pennyweight.verbs.fitting.network_trial import NetworkTrial, cheapest_alike, network_lines, pick_network
from pennyweight.verbs.fitting.resume import find_tried
from pennyweight.zoo.weights.published import PUBLISHED, Published

HEAD: dict[str, Any] = {"recipe": {"mode": "head"}, "input_size": 96, "progress": False}
SMALL, LARGE = "shufflenet_v2_x0_5", "mobilenet_v2"


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes of twenty noisy pictures of 100 pixels a side, which no network tells apart without mistakes."""
    root, draw = tmp_path_factory.mktemp("few") / "photographs", np.random.default_rng(0)
    for label, level in (("dark", 120), ("gray", 126), ("light", 132)):
        (root / label).mkdir(parents=True)
        for number in range(20):
            pixels = np.clip(draw.normal(draw.normal(level, 4), 40, (100, 100, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / label / f"{number}.png")
    return root


@pytest.fixture
def at_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with the weights of two networks, drawn at random, for an input of 32 pixels."""
    monkeypatch.setenv("PENNYWEIGHT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PENNYWEIGHT_OFFLINE", "1")
    folder = tmp_path / "cache" / "weights"
    folder.mkdir(parents=True)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for name, make in ((SMALL, models.shufflenet_v2_x0_5), (LARGE, models.mobilenet_v2)):
            torch.save(make().state_dict(), folder / "made.pth")
            digest = hashlib.sha256((folder / "made.pth").read_bytes()).hexdigest()[:8]
            row = Published(f"{name}-{digest}.pth", 70.0, 32, 36)
            (folder / "made.pth").rename(folder / row.file)
            monkeypatch.setitem(PUBLISHED, name, {"IMAGENET1K_V1": row})
    return folder


def trial(network: str, correct: Sequence[bool], macs: int) -> NetworkTrial:
    return NetworkTrial(network, "", 224, np.array(correct, np.bool_), (0.1, 0.9), 1_000, macs, 3.0)


def test_the_usual_network_stays_in_doubt() -> None:
    right = np.ones(400, np.bool_)
    one, five, fifty = right.copy(), right.copy(), right.copy()
    one[:1], five[:5], fifty[:50] = False, False, False
    usual = trial(LARGE, five, 300)
    assert pick_network([usual, trial("better", right, 900)]).network == "better"  # 5 of 5: 3% by luck
    assert pick_network([trial(LARGE, one, 300), trial("luck", right, 900)]).network == LARGE
    assert pick_network([usual, trial("cheap", five, 100)]).network == "cheap"
    assert pick_network([trial(LARGE, right, 300), trial("worse", fifty, 100)]).network == LARGE
    assert pick_network([usual, trial("dear", five, 900)]).network == LARGE
    cheap = trial("cheap", five, 100)
    assert outside([usual, cheap], 40) == LARGE  # 40 equal answers do not prove that a network is as good
    assert outside([trial("one", five, 100), trial("best", right, 200)], 40) == "best"
    assert outside([trial("one", right, 200), trial("same", right, 100)], 40) == "same"
    assert pick_network([each._replace(outside=(None,)) for each in (cheap, usual)], 0).network == "cheap"


def outside(trials: Sequence[NetworkTrial], count: int) -> str:
    """Pick by `count` answers outside the first fold."""
    return pick_network([each._replace(outside=(each.correct[:count],)) for each in trials], 0).network


def test_a_cheaper_network_within_the_noise_is_named() -> None:
    right = np.ones(100, np.bool_)
    one, eight = right.copy(), right.copy()
    one[:1], eight[:8] = False, False
    kept = trial(LARGE, right, 300)
    trials = [kept, trial("eight", eight, 10), trial("one", one, 100), trial("dear", right, 900)]
    assert cheapest_alike(trials, kept) is trials[2]  # eight lose 8.0 points, of which the error is 2.7
    assert cheapest_alike([kept, trials[1]], kept) is None


@pytest.mark.slow
def test_networks_in_the_cache_are_tried_and_the_table_is_kept(
    photographs: Path, at_hand: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert zoo.cached_weights() == [(LARGE, "IMAGENET1K_V1"), (SMALL, "IMAGENET1K_V1")]
    run = pw.fit(photographs, out=tmp_path / "run", **HEAD | {"progress": True})
    said = capfd.readouterr().err
    rows = run.info.networks or ()
    assert {row["network"] for row in rows} == {SMALL, LARGE}
    (kept,) = (row for row in rows if row["kept"])
    assert run.info.network == kept["network"]
    assert run.evaluation["folds"] == run.info.data.folds
    assert all(0 < row["accuracy"] < 1 and row["pictures"] == 60 for row in rows)
    assert {row["network"]: row["macs"] for row in rows}[SMALL] < {row["network"]: row["macs"] for row in rows}[LARGE]
    assert f"network {kept['network']}: " in said
    assert "accuracy on 60 pictures in folds" in said
    page = run.report_path.read_text()
    assert "Networks that were tried" in page
    assert f"{kept['network']} (kept)" in page


@pytest.mark.slow
def test_a_fold_does_not_choose_the_network_that_answers_it(
    photographs: Path, at_hand: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def picked(trials: Sequence[NetworkTrial], fold: int | None = None) -> NetworkTrial:
        """The second fold picks the other network."""
        return trials[1 if fold == 1 else 0]

    with monkeypatch.context() as patched:
        patched.setattr(choose_network, "pick_network", picked)
        run = pw.fit(photographs, out=tmp_path / "run", **HEAD | {"progress": True})
    other = next(row for row in run.info.networks or () if not row["kept"])
    assert len(other["folds"]) == 1
    (fold,) = other["folds"]
    assert f"folds {fold + 1} chose {SMALL} by the other pictures" in capfd.readouterr().err
    alone = pw.fit(photographs, LARGE, out=tmp_path / "alone", weights="imagenet", **HEAD)
    assert alone.info.networks is None
    assert "Networks that were tried" not in alone.report_path.read_text()
    assert alone.weights_path.read_bytes() == run.weights_path.read_bytes()
    assert alone.evaluation["loss"] != run.evaluation["loss"]
    with monkeypatch.context() as patched:
        patched.setattr(choose_network, "pick_network", picked)
        patched.setattr(Phase, "advance", _stopping(Phase.advance, f"heads of the last layer of {SMALL}"))
        with pytest.raises(KeyboardInterrupt):
            pw.fit(photographs, out=tmp_path / "again", save_minutes=0, **HEAD)
    resumed = pw.fit(photographs, out=tmp_path / "again", resume=True, **HEAD)  # which tries nothing again
    assert resumed.evaluation == run.evaluation
    assert resumed.weights_path.read_bytes() == run.weights_path.read_bytes()


def _stopping(advance: Callable[[Phase, int], None], name: str) -> Callable[..., None]:
    """`Phase.advance` that lets a SIGINT come in the phase `name`."""

    def stopping(self: Phase, n: int = 1) -> None:
        if self.name == name and self.done == 0:
            signal.raise_signal(signal.SIGINT)
        advance(self, n)

    return stopping


@pytest.mark.slow
def test_a_folder_of_weights_names_candidates_and_what_cannot_be_used_is_said(
    photographs: Path, at_hand: Path, tmp_path: Path
) -> None:
    (at_hand / "zzz.pth").write_bytes(b"nothing")
    run = pw.fit(photographs, out=tmp_path / "run", weights=at_hand, **HEAD)
    assert {row["network"] for row in run.info.networks or ()} == {SMALL, LARGE}
    assert any(line.startswith("zzz.pth is not tried: ") for line in run.info.why or ())
    assert run.info.asked["weights"].startswith(str(at_hand))
    with pytest.raises(InputError, match="holds several files, and only mode head of one process"):
        pw.fit(photographs, out=tmp_path / "other", weights=at_hand, recipe={"mode": "finetune"}, progress=False)


@pytest.mark.slow
def test_folds_with_other_weights_of_one_network_stay_apart(
    photographs: Path, at_hand: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Of three files of one network, the first is kept and each of two folds chooses another one."""
    folder = tmp_path / "weights"
    folder.mkdir()
    for seed, name in enumerate("abc"):
        torch.manual_seed(seed)
        torch.save(models.shufflenet_v2_x0_5().state_dict(), folder / f"{name}.pth")

    def picked(trials: Sequence[NetworkTrial], fold: int | None = None) -> NetworkTrial:
        return trials[fold if fold in (1, 2) else 0]

    monkeypatch.setattr(choose_network, "pick_network", picked)
    run = pw.fit(photographs, out=tmp_path / "run", weights=folder, **HEAD | {"input_size": 32, "progress": True})
    said = capfd.readouterr().err
    for fold, name in ((2, "b"), (3, "c")):
        assert f"folds {fold} chose {SMALL} ({name}.pth) by the other pictures" in said
        assert f"{SMALL} ({name}.pth)" in run.report_path.read_text()


def test_a_run_of_auto_resumes_with_a_network_of_torchvision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    kept = {"network": "torchvision:regnet_y_400mf", "weights": "IMAGENET1K_V2", "kept": True}
    folder = next_run_folder(f"birds-{kept['network']}")
    assert folder == Path("runs/birds-torchvision-regnet_y_400mf-1")
    folder.mkdir(parents=True)
    known = {"source": "birds", "address": "birds", "labels": ["a", "b"], "fingerprint": "sha256:0"}
    record = {
        "model": {"name": kept["network"]},
        "data": known,
        "preprocess": {},
        "created": "2026",
        "networks": [kept],
    }
    (folder / "run.json").write_text(json.dumps(record))
    assert latest_run_folder(f"birds-{kept['network']}") == folder
    found = find_tried(None, "birds")
    assert found is not None
    assert as_begun(found, None) == (kept["network"], kept["weights"])
    assert find_tried(None, "bird") is None


@pytest.mark.slow
def test_seeds_in_folds_choose_for_themselves(photographs: Path, at_hand: Path, tmp_path: Path) -> None:
    fit_seeds(photographs, seeds=2, out=tmp_path / "seeds", **HEAD)
    assert all(pw.Run(tmp_path / "seeds" / f"seed-{seed}").info.networks for seed in range(2))


@pytest.mark.slow
def test_too_few_pictures_keep_the_usual_network(photographs: Path, at_hand: Path, tmp_path: Path) -> None:
    few = tmp_path / "few"
    for path in sorted(photographs.glob("*/1?.png")):
        (few / path.parent.name).mkdir(parents=True, exist_ok=True)
        (few / path.parent.name / path.name).write_bytes(path.read_bytes())
    run = pw.fit(few, out=tmp_path / "run", **HEAD)
    assert run.info.network == LARGE
    assert f"network {LARGE}: 30 pictures cannot tell networks apart, which takes 40" in (run.info.why or ())


def test_the_table_has_a_line_for_each_network() -> None:
    rows = [trial(name, [True] * right + [False], macs).row(kept=False, folds=[]) for name, right, macs in
            (("one", 1, 5), ("two", 3, 1_234_567))]  # fmt: skip
    head, *lines = network_lines(rows)
    assert head.split()[:3] == ["network", "input", "accuracy"]
    assert [line.split()[0] for line in lines] == ["two", "one"]
    assert "75.0% (10.0% to 90.0%)" in lines[0]
    assert network_lines([]) == []


@pytest.mark.slow
def test_labels_drawn_at_random_score_chance(at_hand: Path, tmp_path: Path) -> None:
    """Of 6 sets, whose network is chosen by the pictures, the mean score is within 3.5 of its errors of chance."""
    scores = []
    for seed in range(6):
        draw = np.random.default_rng(seed)
        pixels = draw.integers(0, 256, (60, 100, 100, 3), dtype=np.uint8)
        labels = np.repeat(["a", "b", "c"], 20)[draw.permutation(60)]
        run = pw.fit((pixels, labels), out=tmp_path / str(seed), **HEAD)
        assert run.info.networks
        scores.append(run.evaluation["accuracy"])
    assert abs(np.mean(scores) - 1 / 3) < 3.5 * 0.067 / np.sqrt(6)  # 0.067: of single sets
