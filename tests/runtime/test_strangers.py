"""Bundles whose manifest and graph disagree, and manifests of any form: one line that names the file."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from pennyweight.core.errors import BundleError
from pennyweight.core.manifest import METADATA_KEY, Manifest
from pennyweight.core.preprocess import Preprocess
from pennyweight.core.seal import seal
from pennyweight.runtime import Bundle, Classifier
from pennyweight.runtime.classifier import Outputs

Make = Callable[..., Path]


@pytest.fixture
def bundle_of(plain_model: onnx.ModelProto, tmp_path: Path) -> Make:
    """`bundle_of(text)`: the graph of three colors and 6×6 pixels with that manifest."""

    def make(text: str) -> Path:
        model = onnx.ModelProto()
        model.CopyFrom(plain_model)
        helper.set_model_props(model, {METADATA_KEY: text})
        onnx.save(model, tmp_path / "strange.onnx")
        seal(tmp_path / "strange.onnx")
        return tmp_path / "strange.onnx"

    return make


@pytest.mark.parametrize(
    "changes",
    [
        {"labels": ("red", "green")},
        {"labels": ("red", "green", "blue", "grey")},
        {"labels": ()},
        {"preprocess": Preprocess.for_input(7)},
        {"preprocess": Preprocess.for_input(6, channels=1)},
    ],
    ids=str,
)
def test_a_manifest_unlike_the_graph_is_refused_on_opening(
    bundle_of: Make, manifest: Manifest, changes: dict[str, Any]
) -> None:
    path = bundle_of(dataclasses.replace(manifest, **changes).to_json())
    with pytest.raises(
        BundleError, match=r"strange\.onnx does not match its manifest: '\w+' is .* in the graph and .* in the manifest"
    ):
        Bundle(path)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("labels", "red, green, blue"),
        ("labels", [1, 2, 3]),
        ("labels", None),
        ("labels", {"red": 0, "green": 1, "blue": 2}),
        ("network", []),
        ("cost", 5),
        ("evaluation", "good"),
        ("created", 5),
        ("versions", None),
        ("surprise", 5),
        ("preprocess", {"size": "6x", "resize": 6}),
        ("preprocess", {"size": 6.5, "resize": 8}),
        ("preprocess", {"size": 6, "resize": 8, "mean": "0.5"}),
        ("preprocess", {"size": 6, "resize": 8, "interpolation": ["bilinear"]}),
        ("preprocess", [6, 8]),
        ("preprocess", {"resize": 8}),
    ],
)
def test_a_value_of_another_type_is_named(bundle_of: Make, manifest: Manifest, field: str, value: Any) -> None:
    path = bundle_of(json.dumps(json.loads(manifest.to_json()) | {field: value}))
    with pytest.raises(BundleError, match=r"strange\.onnx has a manifest that cannot be read: ") as caught:
        Bundle(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"format": NaN}', "[]", "5", "\0", '{"a":' * 5000])
def test_json_that_is_deep_or_no_object(bundle_of: Make, text: str) -> None:
    with pytest.raises(BundleError, match="manifest that cannot be read") as caught:
        Bundle(bundle_of(text))
    assert len(str(caught.value).splitlines()) == 1


def test_an_engine_that_answers_for_other_classes_is_told_from_one_that_fits(manifest: Manifest) -> None:
    def four(pixels: np.ndarray) -> Outputs:
        return Outputs(*np.ones((2, len(pixels), 4), np.float32))

    classifier = Classifier(four, manifest.labels, manifest.preprocess)
    with pytest.raises(BundleError, match="gives 1×4 values for 1 pictures; it has 3 labels"):
        classifier.predict(np.zeros((6, 6, 3), np.uint8))
