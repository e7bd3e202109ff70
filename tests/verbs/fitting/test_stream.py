"""`fit` on shards: trained as they come, stopped in the middle of an epoch and gone on, scored, shipped."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

import pennyweight as pw
from pennyweight import data
from pennyweight.core.errors import InputError, SourceError
from pennyweight.data.readers.shard import Shard
from pennyweight.nn.weights import read_weights

Fit = Callable[..., pw.Run]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENNYWEIGHT_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def address(tmp_path: Path, write_shards: Callable[..., str]) -> str:
    return write_shards(tmp_path / "colours", {"train": [32, 32], "val": [24], "test": [20]}, classes=3)


def same_weights(one: pw.Run, other: pw.Run) -> bool:
    ours, theirs = read_weights(one.weights_path), read_weights(other.weights_path)
    return all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_a_run_of_shards_is_like_any_other(fit_small: Fit, address: str, tmp_path: Path) -> None:
    run = fit_small(address, out=tmp_path / "run")
    record = run.record["data"]
    assert record["counts"] == {"train": 64, "val": 24, "test": 20}
    assert record["address"] == address
    assert record["source"] == "colours"
    assert record["fingerprint"] == data.open(address).fingerprint
    assert json.loads(json.dumps(pw.evaluate(run).to_dict())) == run.evaluation
    assert pw.evaluate(run, split="val").accuracy == pytest.approx(run.record["best"]["val_accuracy"])
    assert run.report_path.stat().st_size > 0


@pytest.mark.slow
def test_a_bundle_of_it_is_proved_and_scored_on_shards(fit_small: Fit, address: str, tmp_path: Path) -> None:
    run = fit_small(address, out=tmp_path / "run")
    bundle = pw.export(run, tmp_path / "colours.onnx")
    assert pw.evaluate(bundle, address).accuracy == run.evaluation["accuracy"]


@pytest.mark.slow
@pytest.mark.parametrize(("mode", "step"), [("scratch", 3), ("scratch", 6), ("finetune", 2), ("finetune", 7)])
def test_a_stop_in_the_middle_of_an_epoch_goes_on_with_the_same_bits(
    fit_small: Fit, address: str, tmp_path: Path, stop_at: Callable[[int], None], mode: str, step: int
) -> None:
    recipe = {"mode": mode, "epochs": 2, "batch": 16, "shift": 0.25, "mixup": 0.2, "policy": "trivial"}
    options: dict[str, Any] = {"recipe": recipe}
    if mode == "finetune":
        recipe["head_epochs"] = 1
        options |= {"weights": fit_small(address, out=tmp_path / "first").folder, "input_size": None}
    whole = fit_small(address, out=tmp_path / "whole", **options)
    stop_at(step)
    with pytest.raises(KeyboardInterrupt):
        fit_small(address, out=tmp_path / "parts", **options)
    stop_at(10**9)
    parts = fit_small(address, out=tmp_path / "parts", resume=True, **options)
    assert same_weights(whole, parts)
    assert parts.evaluation == whole.evaluation


@pytest.mark.slow
def test_a_shard_that_goes_in_the_middle_leaves_a_run_to_resume(
    fit_small: Fit, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = fit_small(address, out=tmp_path / "whole")
    inner, left = Shard.read, [20_000]

    def failing(self: Shard, start: int, stop: int) -> bytes:
        left[0] -= stop - start
        if left[0] < 0:
            raise SourceError(f"cannot read {self.url}: the server is gone")
        return inner(self, start, stop)

    with monkeypatch.context() as patched:
        patched.setattr(Shard, "read", failing)
        with pytest.raises(SourceError, match="the server is gone"):
            fit_small(address, out=tmp_path / "parts")
    parts = fit_small(address, out=tmp_path / "parts", resume=True)
    assert same_weights(whole, parts)


def test_what_cannot_be_streamed_leaves_nothing(fit_small: Fit, address: str, tmp_path: Path) -> None:
    out = tmp_path / "run"
    with pytest.raises(InputError, match="balance=sampling repeats rare pictures, which a stream cannot"):
        fit_small(address, out=out, recipe={"balance": "sampling"})
    with pytest.raises(SourceError, match=r"cannot read .*train-009\.tar: there is no such file"):
        fit_small(address.replace("train-001", "train-009"), out=out)
    assert not out.exists()


@pytest.mark.slow
def test_unequal_classes_of_a_stream_weigh(
    fit_small: Fit, tmp_path: Path, add_sample: Callable[..., None], capfd: pytest.CaptureFixture[str]
) -> None:
    with tarfile.open(tmp_path / "part-0.tar", "w") as tape:
        for number in range(250):
            file = io.BytesIO()
            Image.new("RGB", (8, 8), (number, 0, 0)).save(file, "PNG")
            add_sample(tape, f"{number:03d}", png=file.getvalue(), cls=b"%d" % (number % 31 == 0))
    fit_small(tmp_path / "part-0.tar", out=tmp_path / "run", progress=True)
    assert "times the pictures of the smallest: rare classes weigh more in the loss" in capfd.readouterr().err


@pytest.mark.slow
def test_two_ranks_train_on_a_stream(address: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    options = ["--model", "mobilenet_v1_x0_25", "--input", "16", "--epochs", "2", "--batch", "16"]
    done = subprocess.run(
        [*command, "-m", "pennyweight", "fit", address, *options, "--out", str(tmp_path / "run")],
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert len(lines) == 2
    assert pw.Run(tmp_path / "run").evaluation["images"] == 20


def test_the_memory_of_a_stream_is_an_option_that_the_run_records(
    fit_small: Fit, address: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = fit_small(address, out=tmp_path / "run", shuffle_buffer="64MB", progress=True)
    assert run.record["asked"]["shuffle_buffer"] == 64_000_000
    assert "each batch draws from the whole stream" in " ".join(capfd.readouterr().err.split())
    for wrong, said in {"none": "shuffle_buffer is a size such as 256MB", "1kB": "has room for 0 pictures"}.items():
        with pytest.raises(InputError, match=said):
            fit_small(address, out=tmp_path / "other", shuffle_buffer=wrong)
    with pytest.raises(InputError, match="shuffle_buffer is for streamed shards; digits is read as files"):
        fit_small("digits", out=tmp_path / "other", shuffle_buffer="64MB")
    assert not (tmp_path / "other" / "run.json").exists()
