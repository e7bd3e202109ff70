"""Features of pictures: equal in torch and in the bundle, kept in files, and refused where there are none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

import pennyweight as pw
from pennyweight.cli import main
from pennyweight.core.errors import BundleError, ImageError, InputError
from pennyweight.core.manifest import FEATURES, LOGITS, METADATA_KEY, STRANGENESS
from pennyweight.core.seal import seal
from pennyweight.deploy.features import give_features


def test_a_bundle_gives_the_features_of_its_run(trained: pw.Run, bundle: pw.Bundle, shapes: Path) -> None:
    pictures = sorted(shapes.rglob("*.png"))[:20]
    expected, found = pw.load(trained).embed(pictures), pw.load(bundle).embed(pictures)
    assert found.shape == (20, bundle.manifest.features)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-3)
    assert np.ptp(found, axis=0).max() > 0.1
    network = onnx.load(bundle.path).graph
    assert [each.name for each in network.output] == ["probabilities", LOGITS, FEATURES, STRANGENESS]
    assert pw.load(bundle).embed([]).shape == (0, found.shape[1])
    np.testing.assert_allclose(pw.load(bundle).embed(pictures[0]), expected[:1], atol=1e-3)
    with pytest.raises(ImageError, match=r"gone\.png"):
        pw.load(bundle).embed([pictures[0], "gone.png"])


def test_a_bundle_of_an_earlier_version_asks_to_be_exported_again(bundle: pw.Bundle, tmp_path: Path) -> None:
    model = onnx.load(bundle.path)
    del model.graph.output[2]
    del model.metadata_props[:]
    helper.set_model_props(model, {METADATA_KEY: replace(bundle.manifest, features=None).to_json()})
    onnx.save(model, tmp_path / "old.onnx")
    seal(tmp_path / "old.onnx")
    old = pw.load(tmp_path / "old.onnx")
    assert old.predict(np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(BundleError, match=r"old\.onnx gives no features: .* export it again"):
        old.embed(np.zeros((8, 8, 3), np.uint8))


@pytest.mark.parametrize("ending", ["parquet", "npy"])
def test_the_command_writes_a_row_for_each_picture(
    bundle: pw.Bundle, shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], ending: str
) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    pictures = [*sorted(shapes.rglob("*.png"))[:5], tmp_path / "broken.png"]
    out = tmp_path / f"features.{ending}"
    assert main(["predict", str(bundle.path), *map(str, pictures), "--embeddings", str(out)]) == 1
    expected = pw.load(bundle).embed(pictures[:5])
    said = capsys.readouterr().err
    assert "broken.png" in said
    assert f"{expected.shape[1]} features of 5 of 6 pictures" in said
    if ending == "npy":
        rows = np.load(out)
        assert np.isnan(rows[5]).all()
        np.testing.assert_allclose(rows[:5], expected, atol=1e-5)
    else:
        from pyarrow import parquet

        table = parquet.read_table(out).to_pylist()
        assert [row["source"] for row in table] == [str(each) for each in pictures]
        assert (table[5]["features"], table[0]["error"]) == (None, None)
        np.testing.assert_allclose([row["features"] for row in table[:5]], expected, atol=1e-5)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["broken.png", out.name]
    assert main(["predict", str(bundle.path), str(pictures[0]), "--embeddings", str(out)]) == 1
    assert "exists" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "line"),
    [
        (["--embeddings", "features.csv"], "ends in neither .parquet nor .npy"),
        (["--embeddings", "features.npy", "--jsonl"], "--embeddings and --jsonl are two outputs; keep one"),
        (["--embeddings", "features.npy", "--parts", "x"], "--embeddings and --parts are two outputs; keep one"),
    ],
)
def test_other_outputs_are_refused(
    bundle: pw.Bundle, capsys: pytest.CaptureFixture[str], more: list[str], line: str
) -> None:
    assert main(["predict", str(bundle.path), "x.png", *more]) == 1
    assert line in capsys.readouterr().err


def test_an_engine_without_features_is_refused() -> None:
    def engine(pixels: Any) -> Any:
        raise AssertionError

    classifier = pw.Classifier(engine, ("a", "b"), pw.Preprocess(size=4, resize=4))
    with pytest.raises(InputError, match="function gives no features"):
        classifier.embed(np.zeros((8, 8, 3), np.uint8))


@pytest.mark.parametrize("last", ["Gemm", "Conv"])
def test_a_graph_gives_features_if_it_ends_in_a_linear_layer(last: str) -> None:
    from onnx import TensorProto

    image = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, 1, 1])
    logits = helper.make_tensor_value_info(LOGITS, TensorProto.FLOAT, ["batch", 2, *([1, 1] if last == "Conv" else [])])
    shape = [2, 3, 1, 1] if last == "Conv" else [3, 2]
    weights = helper.make_tensor("w", TensorProto.FLOAT, shape, [0.1] * 6)
    nodes = [helper.make_node("Relu", ["images"], ["x"]), helper.make_node("Flatten", ["x"], ["flat"])]
    nodes.append(helper.make_node(last, ["x" if last == "Conv" else "flat", "w"], [LOGITS]))
    model = helper.make_model(helper.make_graph(nodes, "g", [image], [logits], [weights]))
    assert give_features(model) == (3 if last == "Gemm" else None)
    onnx.checker.check_model(model)


@pytest.mark.slow
def test_int8_bundles_give_features_too(trained: pw.Run, shapes: Path, tmp_path: Path) -> None:
    small = pw.load(pw.export(trained, tmp_path / "int8.onnx", int8=True, max_drop=0.5))
    pictures = sorted(shapes.rglob("*.png"))[:20]
    found, expected = small.embed(pictures), pw.load(trained).embed(pictures)
    assert found.shape == expected.shape
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.9
