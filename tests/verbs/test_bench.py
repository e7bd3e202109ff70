"""`bench` measures engines side by side, says on what, and refuses what it cannot time before it measures anything."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import pennyweight as pw
from pennyweight.core.errors import BundleError, InputError
from pennyweight.verbs.benching.fresh_process import measure_fresh
from pennyweight.verbs.benching.pictures import choose_pictures


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without pictures of this machine, and on a quiet one."""
    monkeypatch.delenv("PENNYWEIGHT_DATA", raising=False)
    monkeypatch.setattr(os, "getloadavg", lambda: (0.1, 0.1, 0.1), raising=False)


def bench(*arguments: Any, **settings: Any) -> tuple[pw.Timings, list[str]]:
    lines: list[str] = []
    return pw.bench(*arguments, note=lines.append, **{"repeats": 3, "fresh": False, **settings}), lines


def test_rows_for_each_engine_thread_and_batch(bundle: pw.Bundle) -> None:
    pytest.importorskip("openvino")
    timings, notes = bench(bundle.path, threads=[1, 2], batch=[1, 4])
    found = [(row.engine.split()[0], row.threads, row.batch) for row in timings.rows]
    assert sorted(found) == sorted((e, t, b) for e in ("onnxruntime", "openvino") for t in (1, 2) for b in (1, 4))
    for row in timings.rows:
        assert 0 < row.minimum_ms <= row.median_ms <= row.p90_ms
        assert row.pictures_per_s == pytest.approx(1000 * row.batch / row.median_ms)
        assert (row.same_top1, row.pictures, row.repeats) == (64, 64, 3)
        assert row.largest_probability_difference < 1e-5
        assert row.file_bytes == bundle.path.stat().st_size
        assert (row.ready_s, row.resident_bytes) == (None, None)
        assert (row.times_faster == 1) == row.engine.startswith("onnxruntime")
    assert notes == []
    assert "seeded noise" in timings.answers_on
    assert timings.load == 0.1
    said = "\n".join(timings.conditions)
    for words in ("load 0.1 on", "repeated 3 times", "64 pictures of seeded noise", "first engine"):
        assert words in said


def test_a_run_is_timed_as_torch_and_as_its_bundle(trained: pw.Run) -> None:
    threads = torch.get_num_threads()
    timings, notes = bench(trained.folder, engines=["torch", "onnxruntime"], threads=1)
    eager, exported = timings.rows
    assert eager.engine.startswith("torch ")
    assert eager.engine.endswith(", eager")
    assert eager.file_bytes == trained.weights_path.stat().st_size
    assert exported.engine.startswith("onnxruntime")
    assert exported.same_top1 == exported.pictures
    assert exported.largest_probability_difference < 1e-4
    assert len(notes) == 1
    assert "is exported to a temporary bundle for onnxruntime" in notes[0]
    assert torch.get_num_threads() == threads


def test_a_name_without_weights_gets_fresh_ones_which_is_said() -> None:
    timings, (line,) = bench("mobilenet_v1_x0_25", engines="torch", threads=1, repeats=2)
    assert "mobilenet_v1_x0_25 has fresh weights" in line
    assert timings.rows[0].network == "mobilenet_v1_x0_25"


def test_a_fresh_process_is_measured(bundle: pw.Bundle) -> None:
    found = measure_fresh(bundle.path, None, "onnxruntime", 1, None)
    assert found.ready_s is not None
    assert found.ready_cpu_s is not None
    assert found.ready_cpu_s > 0
    assert found.resident_bytes is not None
    assert 20e6 < found.resident_bytes < 400e6
    assert measure_fresh(bundle.path.parent / "none.onnx", None, "onnxruntime", 1, None).resident_bytes is None


def test_a_busy_machine_is_said(bundle: pw.Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (40.0, 1, 1), raising=False)
    timings, (line,) = bench(bundle, engines="onnxruntime", threads=1)
    assert line == "the machine was busy (load 40.0): compare ratios, not milliseconds"
    assert line in timings.conditions


def test_answers_are_compared_on_the_pictures_that_are_there(
    bundle: pw.Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, draw_folder: Callable[..., Path]
) -> None:
    preprocess = bundle.manifest.preprocess
    draw_folder({"a": 3, "b": 90}, name="shelf/pets")
    draw_folder({"a": 2}, name="shelf/zebras")
    (tmp_path / "shelf" / "empty").mkdir()
    monkeypatch.setenv("PENNYWEIGHT_DATA", str(tmp_path / "shelf"))
    assert choose_pictures(None, None, preprocess).of == f"64 pictures of {tmp_path / 'shelf' / 'pets'}"
    own = choose_pictures(None, "zebras", preprocess)
    assert own.of == f"2 pictures of {tmp_path / 'shelf' / 'zebras'}"
    given = choose_pictures(tmp_path / "shelf" / "zebras", None, preprocess)
    assert np.array_equal(given.pixels, own.pixels)
    (tmp_path / "broken.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"broken\.png has no picture that this network can read"):
        choose_pictures(tmp_path / "broken.png", None, preprocess)
    Image.new("RGB", (9, 9)).save(tmp_path / "one.png")
    timings, _ = bench(bundle, engines="onnxruntime", source=tmp_path / "one.png")
    assert timings.answers_on == f"1 pictures of {tmp_path / 'one.png'}"


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"engines": "torch"}, "torch executes runs and names, and .* is a bundle"),
        ({"engines": ["onnxruntim"]}, "did you mean 'onnxruntime'"),
        ({"engines": "fastest"}, "bench times every engine itself"),
        ({"threads": 0}, "threads must be a whole number from 1"),
        ({"threads": [2, -1]}, "not -1"),
        ({"threads": []}, "threads needs at least one number"),
        ({"batch": 0}, "batch must be a whole number from 1"),
        ({"batch": [1, 2.5]}, "batch must be a whole number"),
        ({"batch": 10**9}, "batch must be a whole number"),
        ({"repeats": 1}, "at least 2 repeats, not 1"),
        ({"precision": "bf17"}, "unknown precision 'bf17'"),
    ],
)
def test_what_cannot_be_timed_is_refused(bundle: pw.Bundle, settings: dict[str, Any], line: str) -> None:
    with pytest.raises(InputError, match=line) as raised:
        bench(bundle, **settings)
    assert "\n" not in str(raised.value)


def test_networks_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="name a bundle, a run or a network"):
        bench([])
    with pytest.raises(InputError, match="did you mean 'mobilenet_v2'"):
        bench("mobilnet_v2", engines="torch")
    with pytest.raises(InputError, match="hyperspectral"):
        bench("hybrid_sn", engines="torch")
    (tmp_path / "text.onnx").write_text("no network")
    with pytest.raises(BundleError, match="not a whole ONNX file"):
        bench(tmp_path / "text.onnx")
    with pytest.raises(InputError, match="bench takes bundles, runs and names of networks, not int"):
        bench([3])


def test_timings_describe_themselves(bundle: pw.Bundle) -> None:
    timings, _ = bench(bundle, engines="onnxruntime", threads=1)
    assert "onnxruntime" in repr(timings)
    assert "ms" in timings._repr_html_()
    frame = timings.to_frame()
    assert list(frame["batch"]) == [1]
    assert frame.attrs["conditions"] == list(timings.conditions)
    assert timings.to_dict()["rows"][0]["median_ms"] == timings.rows[0].median_ms


@pytest.mark.slow
def test_a_compiled_network_answers_as_the_eager_one(trained: pw.Run) -> None:
    timings, _ = bench(trained, engines=["torch", "torch-compiled"], threads=1, repeats=2)
    assert timings.rows[1].engine.endswith(", compiled")
    assert timings.rows[1].same_top1 == timings.rows[1].pictures
    assert timings.rows[1].largest_probability_difference < 1e-4
