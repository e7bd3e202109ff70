"""`fit --trust`: a run on shards whose pictures were not decoded first names those that it left out."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import pennyweight as pw
from pennyweight.core.errors import InputError
from pennyweight.data.readers.shard import Shard
from pennyweight.nn.weights import read_weights

Fit = Callable[..., pw.Run]
LOST = ["000003", "000004", "000040"]


@pytest.fixture
def address(tmp_path: Path, write_shards: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> str:
    """Shards of which three pictures for training, and one each for validation and test, cannot be decoded."""
    monkeypatch.setenv("PENNYWEIGHT_CACHE", str(tmp_path / "cache"))
    made = write_shards(tmp_path / "set", {"train": [32, 32], "val": [24], "test": [20]}, classes=3)
    for name, places in {"train-000": (3, 4), "train-001": (8,), "val-000": (5,), "test-000": (6,)}.items():
        shard = tmp_path / "set" / f"{name}.tar"
        examples, content = list(Shard(str(shard), None).examples()), bytearray(shard.read_bytes())
        for place in places:
            content[examples[place].place + 60] ^= 255
        shard.write_bytes(content)
    return made


def same_weights(one: pw.Run, other: pw.Run) -> bool:
    ours, theirs = read_weights(one.weights_path), read_weights(other.weights_path)
    return all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_what_training_cannot_read_is_left_out_named_and_counted(
    fit_small: Fit, address: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = fit_small(address, out=tmp_path / "run", trust=True, progress=True)
    found = run.record["data"]
    assert [each["name"] for each in found["unreadable"]] == ["000069", "000094", *LOST]
    assert found["counts"] == {"train": 61, "val": 23, "test": 19}
    assert found["read_as"] == {"trust": True}
    assert any(note.startswith("5 pictures left out that cannot be read") for note in found["notes"])
    said = " ".join(capfd.readouterr().err.split())
    assert "shards of set, without decoding their pictures" in said
    assert "training met 3 pictures of 64 that cannot be read" in said
    assert pw.evaluate(run).accuracy == run.evaluation["accuracy"]
    assert pw.evaluate(run, address).images == 19
    with pytest.raises(InputError, match="trust is for streamed shards"):
        fit_small("digits", out=tmp_path / "other", trust=True)


@pytest.mark.slow
def test_a_last_layer_leaves_out_the_same(fit_small: Fit, address: str, tmp_path: Path) -> None:
    first = fit_small(address, out=tmp_path / "first", trust=True)
    run = fit_small(address, out=tmp_path / "run", trust=True, weights=first.folder, recipe={"mode": "head"})
    assert [each["name"] for each in run.record["data"]["unreadable"]][2:] == LOST


@pytest.mark.slow
@pytest.mark.parametrize("step", [2, 3, 4])
def test_a_stop_in_the_only_epoch_loses_no_count_and_no_bit(
    fit_small: Fit, address: str, tmp_path: Path, stop_at: Callable[[int], None], step: int
) -> None:
    options = {"trust": True, "recipe": {"epochs": 1, "batch": 16}}
    whole = fit_small(address, out=tmp_path / "whole", **options)
    stop_at(step)
    with pytest.raises(KeyboardInterrupt):
        fit_small(address, out=tmp_path / "parts", **options)
    stop_at(10**9)
    parts = fit_small(address, out=tmp_path / "parts", resume=True, **options)
    assert same_weights(whole, parts)
    assert parts.record["data"]["unreadable"] == whole.record["data"]["unreadable"]


@pytest.mark.slow
def test_two_ranks_that_find_no_index_leave_out_the_same(address: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    options = ["--model", "mobilenet_v1_x0_25", "--input", "16", "--epochs", "2", "--batch", "16", "--trust"]
    done = subprocess.run(
        [*command, "-m", "pennyweight", "fit", address, *options, "--out", str(tmp_path / "run")],
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert [each["name"] for each in record["data"]["unreadable"]][2:] == LOST
    assert "left out 5 pictures that cannot be read" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("trust", [False, True])
def test_a_kill_in_the_middle_of_an_epoch_is_resumed_to_the_same_bits(
    address: str, tmp_path: Path, trust: bool
) -> None:
    def fit(out: str, **more: Any) -> pw.Run:
        options: dict[str, Any] = {"input_size": 16, "recipe": {"epochs": 2, "batch": 4}, "save_minutes": 0.0}
        return pw.fit(address, "mobilenet_v1_x0_25", out=tmp_path / out, trust=trust, progress=False, **options, **more)

    whole = fit("whole")
    command = [sys.executable, "-m", "pennyweight", "fit", address, "--model", "mobilenet_v1_x0_25", "--input", "16"]
    command += ["--epochs", "2", "--batch", "4", "--save-minutes", "0"]  # a checkpoint after each of 32 steps
    killed = subprocess.Popen(
        [*command, *(["--trust"] if trust else []), "--out", str(tmp_path / "parts")],
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
    )
    while not list((tmp_path / "parts" / "checkpoints").glob("*.sha256")):
        assert killed.poll() is None
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    assert not (tmp_path / "parts" / "metrics.jsonl").exists(), "the kill came after the first epoch"
    parts = fit("parts", resume=True)
    assert same_weights(whole, parts)
    assert parts.record["data"]["unreadable"] == whole.record["data"]["unreadable"]
    assert parts.evaluation == whole.evaluation
