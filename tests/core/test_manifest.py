"""What a bundle says of itself."""

import json
import math
from dataclasses import replace
from typing import Any

import pytest

from pennyweight.core.errors import BundleError
from pennyweight.core.manifest import Manifest
from pennyweight.core.preprocess import Preprocess

MANIFEST = Manifest(
    network={"name": "mobilenet_v1", "num_classes": 2, "in_channels": 1, "stem": "cifar", "config": {"width": 0.25}},
    labels=("Kätzchen", "dogs"),
    preprocess=Preprocess.for_input(32, channels=1),
    cost={"params": 5, "macs": 2**40},
    evaluation=None,
    parity={"pictures": 3, "tolerance": 1e-4},
    data={"name": "pets", "fingerprint": "sha256:00"},
    versions={"torch": "2.15.0"},
    created="2026-01-01T00:00:00+00:00",
)


def damaged(**changes: Any) -> str:
    """The manifest's text with fields changed, or removed by None."""
    values = json.loads(MANIFEST.to_json())
    for name, value in changes.items():
        if value is None:
            del values[name]
        else:
            values[name] = value
    return json.dumps(values)


@pytest.mark.parametrize("evaluation", [None, {"accuracy": 0.5, "images": 4}])
def test_a_manifest_comes_back_as_it_was(evaluation: dict[str, Any] | None) -> None:
    manifest = replace(MANIFEST, evaluation=evaluation)
    assert Manifest.from_json(manifest.to_json(), name="x.onnx") == manifest


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "3",
        "null",
        "{}",
        damaged(labels=None),
        damaged(preprocess=None),
        damaged(preprocess={"size": 8}),
        damaged(preprocess={"size": 8, "resize": 4}),
        damaged(preprocess=[1]),
        damaged(labels=3),
        damaged(somebody="else"),
        damaged(format=None),
    ],
)
def test_a_damaged_manifest_is_an_error_that_names_the_file(text: str) -> None:
    with pytest.raises(BundleError, match=r"^x\.onnx has a manifest that cannot be read: .+$"):
        Manifest.from_json(text, name="x.onnx")


def test_a_manifest_of_a_later_format_says_so() -> None:
    with pytest.raises(BundleError, match="newer Pennyweight"):
        Manifest.from_json(damaged(format=99), name="x.onnx")


def test_a_figure_that_json_has_no_word_for_is_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        replace(MANIFEST, cost={"macs": math.nan}).to_json()
