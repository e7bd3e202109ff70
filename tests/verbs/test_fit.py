"""`fit` leaves a whole run, the same for the same seed, or nothing."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

import pennyweight as pw
from pennyweight import data
from pennyweight.core.errors import InputError, RunError
from pennyweight.train import Epoch

Fit = Callable[..., pw.Run]


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def lines(run: pw.Run) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run.metrics_path.read_text().splitlines()]


def without_times(line: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in line.items() if key not in ("seconds", "images_per_s", "loader_share")}


# What a run holds


def test_a_run_holds_these_files_and_no_others(trained: pw.Run) -> None:
    names = {
        "run.json",
        "seen.npy",
        "metrics.jsonl",
        "weights.safetensors",
        "evaluation.json",
        "report.html",
        "typicality.npz",
        "checkpoints",
    }
    assert {path.name for path in trained.folder.iterdir()} == names


def test_the_record_says_what_was_asked_and_what_was_found(trained: pw.Run, shapes: Path) -> None:
    record = json.loads(trained.record_path.read_text())
    assert set(record) == {
        *("name", "created", "status", "seed", "model", "data", "preprocess", "recipe", "machine", "versions"),
        "weights",
        *("best", "seconds", "asked", "recipe_name", "speed", "waiting", "why", "format", "sha256"),
        *("shortcuts", "augmentation"),
    }
    assert record["name"] == trained.folder.name
    assert record["status"] == "complete"
    assert record["seed"] == 0
    assert record["model"] == {
        "name": "mobilenet_v1_x0_25",
        "num_classes": 3,
        "in_channels": 3,
        "stem": "cifar",
        "config": {"stages": [[32, 1, 1], [64, 1, 2]]},
    }
    assert set(record["data"]) == {
        *("source", "address", "labels", "counts", "notes", "fingerprint"),
        *("split_fingerprint", "unreadable", "left_out", "channels", "group_by", "twins", "read_as"),
    }
    assert record["data"]["split_fingerprint"] == data.split(data.open(str(shapes))).fingerprint
    assert record["data"]["unreadable"] == []
    assert record["data"]["source"] == "shapes"
    assert record["data"]["address"] == str(shapes.resolve())
    assert record["data"]["labels"] == ["blue", "green", "red"]
    assert sum(record["data"]["counts"].values()) == 120
    assert record["data"]["fingerprint"] == data.open(str(shapes)).fingerprint
    assert record["preprocess"]["size"] == 16
    recipe = pw.Recipe(epochs=8, batch=8, lr=0.01, warmup_epochs=1)
    assert record["recipe"] == recipe.to_dict() | {"stretches": []}
    assert set(record["machine"]) == {
        *("processor", "cores", "system", "python", "threads", "onednn", "accelerator", "ranks"),
    }
    assert {"pennyweight", "torch", "numpy"} <= set(record["versions"])
    assert record["seconds"] > 0


def test_there_is_a_line_of_metrics_for_each_epoch_and_the_best_is_among_them(trained: pw.Run) -> None:
    metrics = lines(trained)
    assert [line["epoch"] for line in metrics] == list(range(1, 9))
    assert all(set(line) == set(Epoch.__dataclass_fields__) for line in metrics)
    best = max(metrics, key=lambda line: (line["val_accuracy"], -line["val_loss"], -line["epoch"]))
    assert trained.record["best"] == best
    assert metrics[-1]["train_loss"] < metrics[0]["train_loss"]


def test_it_learns(trained: pw.Run) -> None:
    assert trained.evaluation["accuracy"] > trained.evaluation["majority_accuracy"] + 0.2


def test_the_weights_are_those_of_the_best_epoch(trained: pw.Run) -> None:
    best = trained.record["best"]
    scored = pw.evaluate(trained, split="val")
    assert scored.accuracy == pytest.approx(best["val_accuracy"], abs=1e-12)
    assert scored.loss == pytest.approx(best["val_loss"], rel=1e-4)
    with safe_open(trained.weights_path, framework="pt") as file:
        assert file.metadata()["epoch"] == str(best["epoch"])


def test_the_best_weights_are_kept_when_later_epochs_are_worse(
    fit_small: Fit, shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second of three epochs is made to look best; what is scored is what the network was then."""
    seen: list[dict[str, torch.Tensor]] = []

    def better_than(self: Epoch, other: Epoch | None) -> bool:
        return self.epoch <= 2

    monkeypatch.setattr(Epoch, "better_than", better_than)
    from pennyweight.verbs.fitting import modes as room

    save = room.save_weights

    def saved(path: Path, network: torch.nn.Module, metadata: dict[str, str]) -> None:
        save(path, network, metadata)
        seen.append(load_file(path))

    monkeypatch.setattr(room, "save_weights", saved)
    run = fit_small(shapes, out=tmp_path / "run", recipe={"epochs": 3, "batch": 16})
    assert len(seen) == 2
    kept = load_file(run.weights_path)
    assert all(torch.equal(kept[key], seen[1][key]) for key in kept)
    assert run.record["best"]["epoch"] == 2


def test_the_evaluation_is_of_the_test_split(trained: pw.Run, shapes: Path) -> None:
    scored = trained.evaluation
    test = data.split(data.open(str(shapes))).test
    assert (scored["source"], scored["split"], scored["images"]) == ("shapes", "test", len(test))
    assert trained.record["data"]["counts"]["test"] == len(test)
    assert sum(map(sum, scored["confusion"])) == len(test)
    low, high = scored["accuracy_interval"]
    assert low <= scored["accuracy"] <= high


def test_the_report_holds_itself_and_the_figures(trained: pw.Run) -> None:
    text = trained.report_path.read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    assert f"{trained.evaluation['accuracy']:.1%}" in text
    assert "<script" not in text
    assert 'src="http' not in text


# One seed, the same bits


def test_one_seed_gives_the_same_run_and_another_does_not(fit_small: Fit, shapes: Path, tmp_path: Path) -> None:
    first, again, other = (
        fit_small(shapes, out=tmp_path / name, seed=seed) for name, seed in (("a", 5), ("b", 5), ("c", 6))
    )

    def weights(run: pw.Run) -> dict[str, torch.Tensor]:
        return load_file(run.weights_path)

    assert all(torch.equal(value, weights(again)[key]) for key, value in weights(first).items())
    assert list(map(without_times, lines(first))) == list(map(without_times, lines(again)))
    assert first.evaluation_path.read_bytes() == again.evaluation_path.read_bytes()
    assert not all(torch.equal(value, weights(other)[key]) for key, value in weights(first).items())
    assert list(map(without_times, lines(first))) != list(map(without_times, lines(other)))


def test_the_callers_random_numbers_are_as_before(fit_small: Fit, shapes: Path, tmp_path: Path) -> None:
    before = torch.get_rng_state()
    fit_small(shapes, out=tmp_path / "run", seed=1)
    assert torch.equal(before, torch.get_rng_state())
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_a_seed_out_of_range(fit_small: Fit, shapes: Path, tmp_path: Path, seed: int) -> None:
    with pytest.raises(InputError, match=f"not {seed}"):
        fit_small(shapes, out=tmp_path / "run", seed=seed)
    assert list(tmp_path.iterdir()) == []


# Sources


def test_what_is_left_out_is_chosen_by_the_source(
    draw_colours: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    draw_colours(tmp_path / "tints", 4)
    runs = [pw.fit("tints", config={"width": 0.1}, recipe={"epochs": 1}, progress=False) for _ in range(2)]
    assert [str(run.folder) for run in runs] == ["runs/tints-resnet_9_x0_25-1", "runs/tints-resnet_9_x0_25-2"]
    record = runs[0].record
    assert record["model"]["name"] == "resnet_9_x0_25"
    assert record["model"]["stem"] == "cifar"
    assert record["model"]["config"] == {"width": 0.1}
    assert record["preprocess"]["size"] == 32
    assert record["recipe"] == pw.Recipe(epochs=1).to_record()


# Nothing, where it cannot be done


def test_a_folder_that_exists_is_left_as_it_is(fit_small: Fit, shapes: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("years of work")
    (tmp_path / "file").write_text("more")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    before = tree(tmp_path)
    for name in ("run", "file", "link"):
        with pytest.raises(RunError, match="exists already"):
            fit_small(shapes, out=tmp_path / name)
    with pytest.raises(RunError, match="not a folder that can be written to"):
        fit_small(shapes, out=tmp_path / "file" / "run")
    assert tree(tmp_path) == before


@pytest.mark.parametrize("epoch", [1, 2])
def test_interrupted_it_leaves_nothing_or_its_best_weights(
    fit_small: Fit, shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, epoch: int
) -> None:
    from pennyweight.report.progress import TrainingProgress

    finished = 0

    def step(self: TrainingProgress, loss: float, images: int, **more: Any) -> None:
        if finished == epoch - 1:
            raise KeyboardInterrupt

    def epoch_finished(self: TrainingProgress, metrics: dict[str, Any]) -> None:
        nonlocal finished
        finished += 1

    monkeypatch.setattr(TrainingProgress, "step", step)
    monkeypatch.setattr(TrainingProgress, "epoch_finished", epoch_finished)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        fit_small(shapes)
    if epoch == 1:
        assert list(tmp_path.iterdir()) == []
        return
    (folder,) = Path("runs").iterdir()
    assert {path.name for path in folder.iterdir()} == {
        "run.json",
        "metrics.jsonl",
        "seen.npy",
        "weights.safetensors",
        "checkpoints",
    }
    run = pw.Run(folder)
    assert run.record["status"] == "training"
    assert len(lines(run)) == 1
    assert math.isfinite(pw.evaluate(run).loss)  # what is there can be used
    with pytest.raises(RunError, match="training did not finish"):
        pw.export(run)
    assert not run.bundle_path.exists()


def test_progress_goes_to_standard_error_or_nowhere(
    fit_small: Fit, shapes: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    fit_small(shapes, out=tmp_path / "a")
    assert capfd.readouterr() == ("", "")
    fit_small(shapes, out=tmp_path / "b", progress=True)
    out, err = capfd.readouterr()
    assert out == ""
    assert "split by content" in err
    assert "epoch 2/2" in err
