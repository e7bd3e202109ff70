"""`bench`: engines on a bundle, and `bench --machine`, whose measurement is made up."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import pennyweight.cost
from pennyweight.core.scene_manifest import SCENE_METADATA_KEY
from pennyweight.cost import MachineProfile
from pennyweight.cost.timing.agreement import Agreement
from pennyweight.cost.timing.machine_profile import make_profile, profile_path, profiled_threads
from pennyweight.cost.timing.roofline import Limits
from pennyweight.verbs.benching.fresh_process import Fresh

Run = Callable[..., Any]
QUIET = Agreement(apart=0.02, far=0.01, waited=0.001, load=0.1, cores=2)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PENNYWEIGHT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def measuring(monkeypatch: pytest.MonkeyPatch) -> Callable[[Agreement], None]:
    """Makes a measurement come out with such an agreement."""
    limits = Limits(macs_per_s={"float32": 1e10}, bytes_per_s={"memory": 1e9}, level_bytes={}, overhead_s=1e-6)

    def come_out(agreement: Agreement) -> None:
        profile = replace(make_profile(limits, {}), agreement=agreement)
        monkeypatch.setattr(pennyweight.cost, "measure_machine", lambda share: profile)

    return come_out


def test_a_profile_that_disagrees_with_itself_is_not_kept(
    pennyweight: Run, measuring: Callable[[Agreement], None], cache: Path
) -> None:
    measuring(QUIET)
    outcome = pennyweight("bench", "--machine")
    assert (outcome.status, outcome.err) == (0, "")
    assert re.search("G MACs/s.*GB/s", outcome.out, re.DOTALL)
    (kept,) = cache.rglob("profile-*.json")
    assert str(kept) in outcome.out
    good = MachineProfile.load()
    assert good is not None
    measuring(replace(QUIET, apart=0.6, far=0.8, waited=0.7, load=9.5))
    outcome = pennyweight("bench", "--machine")
    assert (outcome.status, outcome.out) == (1, "")
    assert outcome.err.count("\n") == 1
    for words in ("the machine was busy", "differ by 60%", "waited 70%", "load 9.5 on 2 cores", "--anyway"):
        assert words in outcome.err
    assert MachineProfile.load() == good  # the one before stays


def test_a_bench_of_nothing_says_what_can_be_measured(pennyweight: Run) -> None:
    assert "`pennyweight bench --machine` measures this machine" in pennyweight("bench").error


def test_a_profile_takes_the_place_of_the_one_in_an_image(
    measuring: Callable[[Agreement], None], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The home of an image can be read and not written: what was measured since is what `weigh` uses."""
    measuring(QUIET)
    home = cache.parent / "home"
    monkeypatch.delenv("PENNYWEIGHT_CACHE")
    monkeypatch.setattr("pennyweight.core.cache._users_folder", lambda: home)
    monkeypatch.setattr("pennyweight.core.cache._temporary_folder", lambda: cache)
    profile = pennyweight.cost.measure_machine(share=1.0)
    assert replace(profile, created="then").save().is_relative_to(home)
    monkeypatch.setattr("pennyweight.core.cache._can_write", lambda folder: False)
    assert (loaded := MachineProfile.load()) is not None
    assert loaded.created == "then"
    assert profiled_threads() == [profile.threads]
    assert profile.save() == profile_path(profile.threads)
    assert MachineProfile.load() == profile


def test_it_is_kept_anyway_where_that_is_asked_for_and_weigh_says_so(
    pennyweight: Run, measuring: Callable[[Agreement], None]
) -> None:
    measuring(replace(QUIET, waited=0.4))
    outcome = pennyweight("bench", "--machine", "--anyway")
    assert outcome.status == 0
    assert "the machine was busy, which weigh will say: two halves" in outcome.out
    small = ("mobilenet_v1_x0_25", "--input", "3x32x32")
    assert "note: the machine was busy when its profile was measured" in pennyweight("weigh", *small).out
    both = pennyweight("weigh", "mobilenet_v1_x0_25", *small).out
    assert "note: the machine was busy when its profile was measured" in both
    values = json.loads(pennyweight("weigh", *small, "--json").out)
    assert any("the machine was busy" in note for note in values["notes"])
    assert json.loads(pennyweight("bench", "--machine", "--anyway", "--json").out)["agreement"]["holds"] is False


def test_a_quiet_profile_says_how_well_it_agrees(pennyweight: Run, measuring: Callable[[Agreement], None]) -> None:
    measuring(QUIET)
    outcome = pennyweight("bench", "--machine")
    assert "two halves of the same measurement differ by 2%" in outcome.out
    assert "busy" not in outcome.out
    assert "busy" not in pennyweight("weigh", "mobilenet_v1_x0_25", "--input", "3x32x32").out
    assert json.loads(pennyweight("bench", "--machine", "--json").out)["agreement"]["holds"] is True


# engines


def test_engines_are_timed_in_every_form(
    pennyweight: Run, bundle_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PENNYWEIGHT_DATA", raising=False)
    monkeypatch.setattr("pennyweight.verbs.bench.measure_fresh", lambda *_, **__: Fresh(0.25, 0.2, 100 << 20))
    asked = ("bench", bundle_file, "--engines", "onnxruntime", "--threads", "1", "--batch", "1,3", "--repeats", "2")
    shown = pennyweight(*asked, "--html", tmp_path / "page.html")
    assert shown.status == 0
    for words in ("onnxruntime", "faster", "1.00", "0.25", "64 of 64", "seeded noise", "a fresh process"):
        assert words in shown.out
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    for words in ("<h1>Engines, measured on this machine", "64 of 64", "seeded noise", "<svg"):
        assert words in page
    values = json.loads(pennyweight(*asked, "--json").out)
    assert [row["batch"] for row in values["rows"]] == [1, 3]
    assert values["rows"][0]["resident_bytes"] == 100 << 20
    rows = pennyweight(*asked, "--csv").out.splitlines()
    assert rows[0].startswith("network,engine,precision,threads,batch,repeats,minimum_ms")
    assert len(rows) == 3


@pytest.mark.parametrize(
    ("asked", "line"),
    [
        ((), "say what to time: a bundle, a run or a network's name"),
        (("B", "--machine"), "--machine measures this machine alone"),
        (("--machine", "--engines", "openvino"), "--engines belongs to networks"),
        (("--machine", "--threads", "1,2"), "--machine takes one number of --threads, not 2"),
        (("B", "--share", "0.5"), "--share belongs to --machine"),
        (("B", "--anyway"), "--anyway belongs to --machine"),
        (("B", "--threads", "one"), "--threads 'one' is not whole numbers joined by commas, such as 1,2"),
        (("B", "--threads", "0"), "threads must be a whole number from 1"),
        (("B", "--batch", "1,,2"), "--batch '1,,2' is not whole numbers"),
        (("B", "--engines", "torch"), "torch executes runs and names"),
        (("B", "--engines", "onnxruntime,"), "unknown engine ''"),
        (("B", "--json", "--csv"), "keep one"),
        (("B", "--html", "B"), "exists"),
        (("no-such-network",), "no-such-network"),
        (("none.onnx",), "none.onnx"),
    ],
)
def test_what_cannot_be_timed_is_refused_in_one_line(
    pennyweight: Run, bundle_file: Path, asked: tuple[str, ...], line: str
) -> None:
    outcome = pennyweight("bench", *(str(bundle_file) if each == "B" else each for each in asked))
    assert (outcome.status, outcome.out, outcome.err.count("\n")) == (1, "", 1)
    assert line in outcome.err


def test_a_bundle_of_a_scene_is_refused(pennyweight: Run, tmp_path: Path) -> None:
    import onnx

    model = onnx.helper.make_model(
        onnx.helper.make_graph(
            [onnx.helper.make_node("Relu", ["images"], ["logits"])],
            "scene",
            [onnx.helper.make_tensor_value_info("images", 1, [1])],
            [onnx.helper.make_tensor_value_info("logits", 1, [1])],
        ),
        opset_imports=[onnx.helper.make_opsetid("", 20)],
        ir_version=10,
    )
    onnx.helper.set_model_props(model, {SCENE_METADATA_KEY: "{}"})
    onnx.save(model, tmp_path / "scene.onnx")
    outcome = pennyweight("bench", tmp_path / "scene.onnx")
    assert (outcome.status, outcome.err.count("\n")) == (1, 1)
    assert "is a scene's bundle" in outcome.err
