"""The manifest of a bundle: its schema, its rows on a terminal and its model card."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from pennyweight.cli import main
from pennyweight.core.manifest import Manifest
from pennyweight.core.preprocess import Preprocess
from pennyweight.core.scene_manifest import SceneManifest
from pennyweight.report.model_card import model_card

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "manifest.schema.json").read_text(encoding="utf-8"))


def require_valid(manifest: Manifest) -> None:
    jsonschema.Draft202012Validator(SCHEMA).validate(json.loads(manifest.to_json()))


def test_an_exported_manifest_follows_the_schema(exported: Any) -> None:
    require_valid(exported.bundle.manifest)
    assert exported.bundle.manifest.format in SCHEMA["properties"]["format"]["enum"]
    assert set(SCHEMA["properties"]) - {"quantization", "pruning", "typicality"} == set(
        json.loads(exported.bundle.manifest.to_json())
    )


@pytest.mark.parametrize(("unknown", "said"), [(54, True), (0, False), (None, False)])
def test_a_model_card_says_how_many_twins_are_unknown(exported: Any, unknown: int | None, said: bool) -> None:
    manifest = exported.bundle.manifest
    scored = {**manifest.evaluation, "images": 270, "unknown_twins": unknown}
    require_valid(replace(manifest, evaluation=scored))
    card = model_card(replace(manifest, evaluation=scored), "file.onnx", 1000)
    assert ("| twins in training | unknown for 54 of 270 pictures" in card) == said


def test_rounding_is_told_in_the_manifest_and_the_card(exported: Any) -> None:
    distances = {"network_probability": 5.1e-4, "network_logit": 3e-3, "bundle_probability": 4.4e-4}
    rounding = distances | {"bundle_logit": 4e-3, "factor": 2.0}
    manifest = exported.bundle.manifest
    proof = {**manifest.parity, "largest_probability_difference": 1.8e-4, "tolerance": 1e-3, "rounding": rounding}
    require_valid(replace(manifest, parity=proof))
    card = model_card(replace(manifest, parity=proof), "file.onnx", 1000)
    assert "1.8e-04, which is rounding: the network in float32 stands 5.1e-04 from itself in float64, and the" in card


@pytest.mark.parametrize(
    "preprocess",
    [
        Preprocess.for_input((24, 60), frame="pad"),
        Preprocess(size=9, resize=12, levels=((0, 4095),), decoding="draft", interpolation="lanczos"),
        Preprocess.for_input(32, channels=5),
    ],
    ids=["pad", "levels", "bands"],
)
def test_every_preprocessing_follows_the_schema(exported: Any, preprocess: Preprocess) -> None:
    require_valid(replace(exported.bundle.manifest, preprocess=preprocess, evaluation=None, data=None))


def test_a_wrong_manifest_breaks_the_schema(exported: Any) -> None:
    with pytest.raises(jsonschema.ValidationError, match="size"):
        jsonschema.Draft202012Validator(SCHEMA["properties"]["preprocess"] | {"$defs": SCHEMA["$defs"]}).validate(
            {**exported.bundle.manifest.preprocess.to_dict(), "size": "224"}
        )


def test_the_command_prints_the_facts_the_manifest_and_a_card(
    exported: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    path = str(exported.bundle.path)
    assert main(["bundle", path]) == 0
    shown = capsys.readouterr().out
    for fact in ("80.0% of 5 pictures", "10 of 10 pictures get the same label", "a, b, ç, d e", "1 parameters, 2 MACs"):
        assert fact in shown
    assert main(["bundle", path, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(exported.bundle.manifest.to_json())
    assert main(["bundle", path, "--markdown"]) == 0
    card = capsys.readouterr().out
    assert card.startswith("---\nlibrary_name: pennyweight\npipeline_tag: image-classification\n")
    assert "1. a\n2. b\n3. ç\n4. d e\n" in card
    assert main(["bundle", path, "--markdown", "--json"]) == 1
    assert "keep one" in capsys.readouterr().err


def test_hostile_labels_are_shown_letter_by_letter_in_a_card(exported: Any) -> None:
    labels = ("<script>", "a | b", "**bold**", "two\nlines")
    card = model_card(replace(exported.bundle.manifest, labels=labels), "my file.onnx", 1000)
    assert "1. &lt;script&gt;\n2. a \\| b\n3. \\*\\*bold\\*\\*\n4. two\\\\nlines\n" in card
    assert "pennyweight predict 'my file.onnx' photo.jpg" in card


def test_a_scenes_bundle_is_shown_too() -> None:
    manifest = SceneManifest(
        network={"name": "hybrid_sn"},
        labels=("corn", "soy"),
        ids=(1, 2),
        form="windows",
        window=25,
        bands=200,
        evaluation={"split": "blocks", "pixels": 2838, "overall_accuracy": 0.9253},
        parity={"pixels": 2304, "same_top1": 2304, "largest_probability_difference": 1e-6},
        data={"name": "indian-pines"},
        versions={},
        created="2026-01-01",
    )
    card = model_card(manifest, "scene.onnx", 1000)
    assert "pennyweight scene predict scene.onnx CUBE --map map.png" in card
    assert "200 bands, windows of 25×25 pixels" in card
