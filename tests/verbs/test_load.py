"""`load` gives a classifier, or says which file is wrong."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import save_file

import pennyweight as pw
from pennyweight.core.errors import BundleError, InputError, PennyweightError, RunError
from pennyweight.core.files import read_json
from pennyweight.core.run import write_record


@pytest.fixture
def own_run(trained: pw.Run, tmp_path: Path) -> pw.Run:
    """A copy of the run that a test may change."""
    return pw.Run(shutil.copytree(trained.folder, tmp_path / "own"))


def test_runs_bundles_and_their_paths(trained: pw.Run, bundle: pw.Bundle) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (30, 20, 3), dtype=np.uint8)
    ways = [trained, trained.folder, str(trained.folder), bundle, bundle.path, str(bundle.path)]
    classifiers = [pw.load(way) for way in ways]
    for classifier in classifiers:
        assert classifier.labels == ("blue", "green", "red")
        assert classifier.preprocess.size == 16
        (prediction,) = classifier.predict(picture, top=3)
        (expected,) = classifiers[0].predict(picture, top=3)
        assert dict(prediction.top) == pytest.approx(dict(expected.top), abs=1e-4)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no run or bundle at"):
        pw.load(tmp_path / "none")
    with pytest.raises(RunError, match="is not a run"):
        pw.load(tmp_path)


def test_a_file_that_is_no_bundle(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("remember the milk")
    with pytest.raises(BundleError, match=r"notes\.txt"):
        pw.load(tmp_path / "notes.txt")


def test_weights_of_another_network(own_run: pw.Run) -> None:
    save_file(pw.create("mobilenet_v2_x0_35", num_classes=3).state_dict(), own_run.weights_path)
    write_record(own_run.record_path, read_json(own_run.record_path), own_run.weights_path)
    with pytest.raises(InputError, match=r"weights\.safetensors holds another network's weights"):
        pw.load(own_run)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"preprocess": {}, "model": {}, "data": {}}'])
def test_a_damaged_record_is_named(own_run: pw.Run, text: str) -> None:
    own_run.record_path.write_text(text)
    with pytest.raises(PennyweightError, match=r"own") as raised:
        pw.load(own_run.folder)
    assert "\n" not in str(raised.value)


def test_a_record_with_a_network_that_this_version_does_not_know(own_run: pw.Run) -> None:
    record = read_json(own_run.record_path)
    record["model"]["name"] = "mobilenet_v9"
    write_record(own_run.record_path, record)
    with pytest.raises(RunError, match="unknown network 'mobilenet_v9'"):
        pw.load(own_run.folder)
