"""A bundle opens whole or not at all, and says why in one line."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from pennyweight.core.cgroups import Limits
from pennyweight.core.errors import BundleError
from pennyweight.core.manifest import METADATA_KEY, Manifest
from pennyweight.core.seal import seal
from pennyweight.runtime import Bundle
from pennyweight.runtime.onnx_engine import OnnxEngine


def refusal(path: Path) -> str:
    with pytest.raises(BundleError) as raised:
        Bundle(path)
    message = str(raised.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def sealed_again(path: Path) -> Path:
    """Seal a file that a test changed."""
    model = onnx.load(path)
    del model.metadata_props[1:]  # the seal of before
    onnx.save(model, path)
    seal(path)
    return path


def test_it_holds_its_manifest(bundle_path: Path, manifest: Manifest) -> None:
    assert Bundle(bundle_path).manifest == manifest
    assert Bundle(str(bundle_path)).path == bundle_path  # type: ignore[arg-type]


def test_its_engine_answers_batches_of_any_size(bundle_path: Path) -> None:
    engine = Bundle(bundle_path).engine
    for count in (1, 2, 7):
        pixels = np.zeros((count, 6, 6, 3), np.uint8)
        pixels[..., 1] = 64
        outputs = engine(pixels)
        assert outputs.logits.tolist() == [[0.0, 2.0, 0.0]] * count
        assert outputs.probabilities.sum(axis=1) == pytest.approx(1)
        assert outputs.probabilities.argmax(1).tolist() == [1] * count


def test_pixels_need_not_be_contiguous(bundle_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 6, 6, 3), dtype=np.uint8)
    engine = OnnxEngine(bundle_path, threads=1)
    turned = engine(np.asfortranarray(pixels)[:, ::-1])
    assert turned.logits == pytest.approx(engine(np.ascontiguousarray(pixels[:, ::-1])).logits)


@pytest.mark.parametrize(
    ("kind", "raw"),
    [(np.float32, True), (np.float32, False), (np.float64, True), (np.float64, False), (np.float16, True)],
)
def test_a_sealed_bundle_whose_weights_hold_nan_does_not_open(
    bundle_path: Path, tmp_path: Path, kind: type[np.floating[Any]], raw: bool
) -> None:
    model = onnx.load(bundle_path)
    values = np.ones((40, 30), kind)
    values[-1, -1] = np.nan
    weight = numpy_helper.from_array(values, "trunk.3.weight")
    if not raw:
        weight = helper.make_tensor(weight.name, weight.data_type, values.shape, values)
    model.graph.initializer.append(weight)
    onnx.save(model, tmp_path / "nan.onnx")
    said = refusal(sealed_again(tmp_path / "nan.onnx"))
    assert "cannot be used: its weight 'trunk.3.weight' holds NaN" in said


@pytest.mark.parametrize("values", [np.float32([1, -np.inf, 3]), np.int64([2**62, -1]), np.float32([])])
def test_other_weights_of_a_bundle_open(bundle_path: Path, tmp_path: Path, values: NDArray[Any]) -> None:
    model = onnx.load(bundle_path)
    model.graph.initializer.append(numpy_helper.from_array(values, "mask"))
    onnx.save(model, tmp_path / "more.onnx")
    assert Bundle(sealed_again(tmp_path / "more.onnx")).manifest.labels


def test_cut_short_anywhere_it_does_not_open(bundle_path: Path, tmp_path: Path) -> None:
    whole = bundle_path.read_bytes()
    cut = tmp_path / "cut.onnx"
    for length in range(0, len(whole), 3):
        cut.write_bytes(whole[:length])
        refusal(cut)
    cut.write_bytes(whole)
    Bundle(cut)


def test_an_onnx_file_of_another_maker_is_named_as_such(plain_model: onnx.ModelProto, tmp_path: Path) -> None:
    path = tmp_path / "other.onnx"
    onnx.save(plain_model, path)
    assert "without a manifest" in refusal(path)
    assert "pennyweight export" in refusal(path)


@pytest.mark.parametrize("content", [b"", b"not a network\n", b"\x89PNG\r\n\x1a\n" + b"\0" * 64])
def test_a_file_of_another_kind(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "text.onnx"
    path.write_bytes(content)
    assert "not a whole ONNX file" in refusal(path)


def test_no_file_and_a_folder(tmp_path: Path) -> None:
    assert "no such file" in refusal(tmp_path / "none.onnx")
    refusal(tmp_path)


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"format": 1}', '{"format": 99}', "{"])
def test_a_manifest_that_cannot_be_read(plain_model: onnx.ModelProto, tmp_path: Path, text: str) -> None:
    model = onnx.ModelProto()
    model.CopyFrom(plain_model)
    helper.set_model_props(model, {METADATA_KEY: text})
    onnx.save(model, tmp_path / "odd.onnx")
    seal(tmp_path / "odd.onnx")
    message = refusal(tmp_path / "odd.onnx")
    assert ("newer Pennyweight" in message) == ("99" in text)


def test_a_manifest_with_a_wrong_value(plain_model: onnx.ModelProto, manifest: Manifest, tmp_path: Path) -> None:
    values = json.loads(manifest.to_json())
    values["preprocess"]["size"] = -1
    model = onnx.ModelProto()
    model.CopyFrom(plain_model)
    helper.set_model_props(model, {METADATA_KEY: json.dumps(values)})
    onnx.save(model, tmp_path / "odd.onnx")
    seal(tmp_path / "odd.onnx")
    assert "size needs at least 1 pixel per side, not -1" in refusal(tmp_path / "odd.onnx")


def test_it_is_a_value(bundle_path: Path) -> None:
    assert Bundle(bundle_path) == Bundle(bundle_path)
    with pytest.raises(dataclasses.FrozenInstanceError):
        Bundle(bundle_path).path = Path("x")  # type: ignore[misc]


def test_a_bundle_describes_itself_by_its_file_and_its_manifest(bundle_path: Path) -> None:
    bundle = Bundle(bundle_path)
    assert repr(bundle).startswith("Bundle(file: ")
    assert bundle_path.name in repr(bundle)
    assert repr(bundle).endswith(repr(bundle.manifest).removeprefix("Manifest("))
    assert "3 classes" in bundle._repr_html_()


def test_a_containers_quota_bounds_the_threads_of_a_bundle(bundle_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pennyweight.core.machine.granted_cores", lambda: 64)
    for quota, threads in ((2.0, 2), (0.5, 1), (1.5, 2)):
        monkeypatch.setattr("pennyweight.core.machine.read_limits", lambda cpus=quota: Limits(cpus=cpus))
        session = OnnxEngine(bundle_path)._session
        assert session.get_session_options().intra_op_num_threads == threads


def test_a_folder_is_told_from_a_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"is a folder, and a bundle is a file, such as .*model\.onnx"):
        Bundle(tmp_path)
