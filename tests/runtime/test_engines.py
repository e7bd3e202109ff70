"""Every engine answers as the usual one; a choice that cannot be is refused in one line."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import pennyweight as pw
from pennyweight.core.errors import BundleError, InputError, MissingPart
from pennyweight.core.manifest import METADATA_KEY, Manifest
from pennyweight.core.noise import seeded_pixels
from pennyweight.core.seal import seal
from pennyweight.runtime import Bundle
from pennyweight.runtime import engine as engines
from pennyweight.runtime.difference import Difference
from pennyweight.runtime.engine import ENGINES, EngineChoice
from pennyweight.runtime.fastest import open_fastest
from pennyweight.runtime.openvino_engine import OpenVinoEngine

OTHERS = [name for name in ENGINES if name != engines.USUAL]


@pytest.fixture(autouse=True)
def _installed() -> None:
    pytest.importorskip("openvino")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PENNYWEIGHT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.parametrize("name", OTHERS)
def test_an_engine_answers_batches_of_any_size_as_the_usual_one(bundle_path: Path, name: str) -> None:
    usual, other = Bundle(bundle_path), Bundle(bundle_path, EngineChoice(name, threads=2))
    assert other.manifest == usual.manifest
    assert other.engine.ports.keys() == usual.engine.ports.keys()
    for count in (1, 5, 2):
        pixels = seeded_pixels(count, (6, 6, 3))
        difference = Difference.of(usual.engine(pixels).probabilities, other.engine(pixels).probabilities)
        assert (difference.pictures, difference.same_top1) == (count, count)
        assert difference.probability < 1e-6
    assert other.engine.name.startswith(name)
    assert name in repr(other.classifier)


@pytest.mark.parametrize("name", OTHERS)
def test_threads_share_an_engine_and_later_answers_leave_earlier_ones_alone(bundle_path: Path, name: str) -> None:
    bundle = Bundle(bundle_path, EngineChoice(name))
    pixels = seeded_pixels(40, (6, 6, 3))
    whole = bundle.engine(pixels).logits
    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(lambda row: bundle.engine.shared(row[None]).logits, pixels))
    assert np.concatenate(parts) == pytest.approx(whole, abs=1e-6)


@pytest.mark.parametrize("name", OTHERS)
def test_an_engine_travels_as_its_file(bundle_path: Path, name: str) -> None:
    classifier = Bundle(bundle_path, EngineChoice(name, threads=1)).classifier
    again = pickle.loads(pickle.dumps(classifier))
    assert again.engine.name == classifier.engine.name
    assert again.engine.threads == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_process_opens_openvino_again(bundle_path: Path) -> None:
    program = f"""
import os, sys, numpy as np
from pennyweight.runtime import Bundle
from pennyweight.runtime.engine import EngineChoice
from pathlib import Path
engine = Bundle(Path({str(bundle_path)!r}), EngineChoice("openvino")).engine
pixels = np.zeros((1, 6, 6, 3), np.uint8)
first = engine(pixels).logits
child = os.fork()
if child == 0:
    os._exit(int(not (engine(pixels).logits == first).all()))
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stderr) == (0, "")


def test_openvino_sends_and_writes_nothing(
    bundle_path: Path, tmp_path: Path, users_environment: Mapping[str, str]
) -> None:
    """By itself, importing it makes a device id in the home folder, and sends an event."""
    home = tmp_path / "home"
    home.mkdir()
    program = f"""
import pennyweight as pw, sys
pw.load({str(bundle_path)!r}, engine="openvino")
import openvino
assert not [name for name in sys.modules if name.startswith("openvino_telemetry")]
"""
    environment = {**users_environment, "HOME": str(home), "PENNYWEIGHT_CACHE": str(tmp_path)}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment)
    assert list(home.rglob("*")) == []


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"engine": "opnvino"}, "unknown engine 'opnvino'; did you mean 'openvino'?"),
        ({"engine": "tensorrt"}, "there are onnxruntime, openvino, torch, torch-compiled and fastest"),
        ({"engine": ""}, "unknown engine ''"),
        ({"engine": 3}, "engine must be a name, not int 3"),
        ({"engine": "torch"}, "torch executes runs and names, and .* is a bundle"),
        ({"threads": 0}, "threads must be a whole number from 1 to 1,024, not 0"),
        ({"threads": -1}, "not -1"),
        ({"threads": 1.5}, "not 1.5"),
        ({"threads": True}, "not True"),
        ({"threads": "2"}, "not '2'"),
        ({"threads": 10**9}, "not 1000000000"),
        ({"precision": "bf16"}, "onnxruntime does not compute in bfloat16; take the engine openvino"),
        ({"engine": "fastest", "precision": "bf16"}, "onnxruntime does not compute in bfloat16"),
        ({"precision": "fp16"}, "unknown precision 'fp16'; there are float32 and bfloat16"),
        ({"precision": 16}, "precision must be a name, not int 16"),
    ],
)
def test_a_choice_that_cannot_be_is_refused(bundle_path: Path, settings: dict[str, Any], line: str) -> None:
    with pytest.raises(InputError, match=line) as raised:
        pw.load(bundle_path, **settings)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("spelling", ["OpenVINO", " openvino ", "ov"])
def test_engines_are_known_by_other_spellings(bundle_path: Path, spelling: str) -> None:
    assert isinstance(pw.load(bundle_path, engine=spelling).engine, OpenVinoEngine)


def test_an_engine_that_is_not_installed_is_named_with_its_command(
    bundle_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingPart, match=r"openvino.*pip install .*\[openvino\]"):
        pw.load(bundle_path, engine="openvino")
    lines: list[str] = []
    classifier = pw.load(bundle_path, engine="fastest", note=lines.append)
    assert classifier.engine.name.startswith("onnxruntime")
    assert lines[0].startswith("onnxruntime is the only engine installed; another is added with: pip install")


def test_bfloat16_without_hardware_is_refused(bundle_path: Path) -> None:
    import openvino

    if "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        engine = pw.load(bundle_path, engine="openvino", precision="bf16").engine
        hint = engine._compiled.get_property("INFERENCE_PRECISION_HINT")  # type: ignore[attr-defined]
        assert "bf" in hint.to_string()
    else:
        with pytest.raises(InputError, match="this CPU has no bfloat16 instructions"):
            pw.load(bundle_path, engine="openvino", precision="bf16")


def test_openvino_computes_in_float32_unless_it_is_told(bundle_path: Path) -> None:
    compiled = Bundle(bundle_path, EngineChoice("openvino", threads=2)).engine._compiled  # type: ignore[attr-defined]
    assert compiled.get_property("INFERENCE_PRECISION_HINT").to_string() == "f32"
    assert compiled.get_property("INFERENCE_NUM_THREADS") == 2


def test_a_run_and_its_network_take_the_engines_of_torch(tmp_path: Path) -> None:
    from pennyweight.verbs.execution import Execution

    for engine in ("onnxruntime", "openvino", "fastest"):
        with pytest.raises(InputError, match=f"torch executes runs/a, and {engine} executes bundles; export it"):
            Execution(engine).settle_torch("runs/a")
    with pytest.raises(InputError, match="in float32, not bf16"):
        Execution(precision="bf16").settle_torch("runs/a")
    assert Execution("torch-compiled").settle_torch("runs/a")
    assert not Execution("torch").settle_torch("runs/a")


def bundle_of(graph: list[Any], manifest: Manifest, path: Path) -> Path:
    """Write a sealed bundle of nodes between the usual input and outputs."""
    ports = (
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["batch", 6, 6, 3])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 3]) for name in ("probabilities", "logits")],
    )
    axes = helper.make_tensor("axes", TensorProto.INT64, [2], [1, 2])
    made = helper.make_model(
        helper.make_graph(graph, "odd", *ports, initializer=[axes]),
        opset_imports=[helper.make_opsetid("", 20)],
        ir_version=10,
    )
    helper.set_model_props(made, {METADATA_KEY: manifest.to_json()})
    onnx.save(made, path)
    seal(path)
    return path


@pytest.mark.parametrize("name", ENGINES)
def test_a_hostile_or_changed_file_is_refused_before_an_engine_reads_it(
    bundle_path: Path, plain_model: onnx.ModelProto, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Path] = []
    monkeypatch.setattr(ENGINES[name], "_open", lambda self: opened.append(self._path))
    changed = tmp_path / "changed.onnx"
    content = bytearray(bundle_path.read_bytes())
    content[len(content) // 2] ^= 1
    changed.write_bytes(content)
    model = onnx.ModelProto()
    model.CopyFrom(plain_model)
    weight = onnx.TensorProto(name="far", data_type=1, dims=[1], data_location=onnx.TensorProto.EXTERNAL)
    weight.external_data.add(key="location", value="../../etc/passwd")
    model.graph.initializer.append(weight)
    outside = tmp_path / "outside.onnx"
    outside.write_bytes(model.SerializeToString())
    for file, line in ((changed, "SHA-256 differs"), (outside, "keeps its weight 'far' in another file")):
        with pytest.raises(BundleError, match=line):
            Bundle(file, EngineChoice(name))
    assert opened == []


def test_an_operator_that_an_engine_lacks_is_said(manifest: Manifest, tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Cast", ["images"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["float", "axes"], ["mean"], keepdims=0),
        helper.make_node("Nonsense", ["mean"], ["logits"], domain="org.nobody"),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    path = bundle_of(nodes, manifest, tmp_path / "odd.onnx")
    with pytest.raises(BundleError, match=r"openvino cannot open .*odd\.onnx \(.*try without it") as raised:
        Bundle(path, EngineChoice("openvino"))
    assert "\n" not in str(raised.value)
    assert ".cpp" not in str(raised.value)
    assert "Nonsense" in str(raised.value)


def test_an_int8_bundle_keeps_the_engine_that_its_accuracy_was_measured_on(
    plain_model: onnx.ModelProto, manifest: Manifest, tmp_path: Path
) -> None:
    """OpenVINO rounds the products of 8-bit numbers otherwise: most answers of a small network differed."""
    model = onnx.ModelProto()
    model.CopyFrom(plain_model)
    helper.set_model_props(model, {METADATA_KEY: manifest.in_int8({"method": "static"}).to_json()})
    onnx.save(model, tmp_path / "int8.onnx")
    seal(tmp_path / "int8.onnx")
    with pytest.raises(InputError, match=r"int8\.onnx is in int8, which openvino rounds otherwise than onnxruntime"):
        pw.load(tmp_path / "int8.onnx", engine="openvino")
    lines: list[str] = []
    assert pw.load(tmp_path / "int8.onnx", engine="fastest", note=lines.append).engine.name.startswith("onnxruntime")
    assert "openvino is left out: " in lines[0]
    assert len(pw.bench(tmp_path / "int8.onnx", repeats=2, fresh=False).rows) == 1


# fastest


class Slow(OpenVinoEngine):
    """OpenVINO on a machine where it takes long."""

    def _run(self, pixels: Any, names: Any) -> Any:
        import time

        time.sleep(0.02)
        return super()._run(pixels, names)


class Wrong(OpenVinoEngine):
    """OpenVINO with a fault: its classes are turned around."""

    def _run(self, pixels: Any, names: Any) -> Any:
        return [each[:, ::-1] for each in super()._run(pixels, names)]


@pytest.fixture
def choose(bundle_path: Path) -> Callable[..., tuple[Bundle, list[str]]]:
    def choose(path: Path = bundle_path, **settings: Any) -> tuple[Bundle, list[str]]:
        lines: list[str] = []
        return open_fastest(path, EngineChoice(**settings), lines.append), lines

    return choose


def test_the_fastest_engine_is_measured_once_and_remembered(
    choose: Callable[..., Any], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "ENGINES", ENGINES)
    monkeypatch.setitem(ENGINES, "openvino", Slow)  # type: ignore[index]
    bundle, (line,) = choose(threads=1)
    assert bundle.using.name == "onnxruntime"
    assert "engine onnxruntime, the fastest for" in line
    assert "openvino 2" in line  # milliseconds
    assert "1 thread" in line
    (file,) = cache.rglob("*.json")
    assert str(file) in line
    again, (line,) = choose(threads=1)
    assert again.using == bundle.using
    assert "when it was measured on this machine" in line


@pytest.mark.parametrize("change", ["bundle", "threads", "machine", "version", "damage"])
def test_it_is_measured_again_when_something_changes(
    choose: Callable[..., Any], bundle_path: Path, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch,
    change: str,
) -> None:  # fmt: skip
    choose(threads=1)
    path, threads = bundle_path, 1
    if change == "bundle":
        path = tmp_path / "other.onnx"
        model = onnx.load(bundle_path)
        del model.metadata_props[1:]
        model.doc_string = "another"
        onnx.save(model, path)
        seal(path)
    elif change == "threads":
        threads = 2
    elif change == "machine":
        monkeypatch.setattr("pennyweight.runtime.fastest.machine", lambda: {"processor": "x", "cores": 9, "system": ""})
    elif change == "version":
        monkeypatch.setattr("importlib.metadata.version", lambda package: "99")
    else:
        (file,) = cache.rglob("*.json")
        file.write_text(json.dumps({"engine": "tensorrt"}))
    _, (line,) = choose(path, threads=threads)
    assert "on this machine: " in line


def test_an_engine_that_answers_otherwise_is_left_out(
    choose: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ENGINES, "openvino", Wrong)  # type: ignore[index]
    bundle, (left_out, line) = choose()
    assert bundle.using.name == "onnxruntime"
    assert "openvino is left out, because it differs from onnxruntime: " in left_out
    assert "of 16 top-1 the same" in left_out
    assert "openvino" not in line


def test_a_cache_that_cannot_be_written_is_said(
    choose: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("PENNYWEIGHT_CACHE", str(tmp_path / "file"))
    _, (line,) = choose()
    assert "not remembered (" in line


def test_fastest_of_no_file(choose: Callable[..., Any], tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no such file"):
        choose(tmp_path / "none.onnx")
