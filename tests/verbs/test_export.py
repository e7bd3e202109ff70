"""`export` proves the bundle on the run's own pictures, and writes it whole or not at all."""

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pennyweight as pw
from pennyweight import data, zoo
from pennyweight.core.errors import BundleError, InputError, ParityError, PennyweightError
from pennyweight.core.files import read_json
from pennyweight.core.run import write_record
from pennyweight.runtime import Outputs
from pennyweight.runtime.onnx_engine import OnnxEngine
from pennyweight.verbs.load import preprocess_of
from pennyweight.verbs.proof_pictures import choose_proof_pictures
from pennyweight.zoo import Pretrained


@pytest.fixture
def own_run(trained: pw.Run, tmp_path: Path) -> pw.Run:
    """A copy of the run that a test may change."""
    return pw.Run(shutil.copytree(trained.folder, tmp_path / "own"))


def test_the_bundle_answers_as_the_run(trained: pw.Run, bundle: pw.Bundle, shapes: Path) -> None:
    files = sorted(shapes.rglob("*.png"))[::5]
    run, exported = (pw.load(either).predict(files, top=3) for either in (trained, bundle))
    assert [p.label for p in run] == [p.label for p in exported]
    assert len({p.label for p in run}) > 1
    for one, other in zip(run, exported, strict=True):
        assert dict(one.top) == pytest.approx(dict(other.top), abs=1e-4)


def test_the_manifest_is_the_runs(trained: pw.Run, bundle: pw.Bundle) -> None:
    manifest, record = bundle.manifest, trained.record
    model = record["model"]
    assert manifest.network == model
    assert manifest.labels == ("blue", "green", "red")
    assert manifest.preprocess == pw.Preprocess.from_dict(record["preprocess"])
    network = pw.create("mobilenet_v1_x0_25", num_classes=3, stem="cifar", **model["config"])
    cost = pw.weigh(network.eval(), (3, 16, 16))
    assert manifest.cost == {"params": cost.params, "macs": cost.macs}
    assert manifest.evaluation == {
        key: trained.evaluation[key]
        for key in (
            "split",
            "images",
            "accuracy",
            "accuracy_interval",
            "effective_images",
            "without_twins",
            "unknown_twins",
        )
    }
    assert manifest.data == {
        "name": "shapes",
        "fingerprint": record["data"]["fingerprint"],
        "group_by": None,
        "twins": "group",
    }
    assert set(manifest.versions) >= {"pennyweight", "torch", "onnxruntime"}


def test_a_small_test_split_is_topped_up_from_the_others_training_last(trained: pw.Run, bundle: pw.Bundle) -> None:
    proof, test = bundle.manifest.parity, trained.evaluation["images"]
    assert proof["pictures"] == proof["same_top1"] == 64
    found = re.fullmatch(
        r"(\d+) of the test split, (\d+) of the validation split and (\d+) of .* of shapes", proof["of"]
    )
    assert found is not None
    counts = [int(count) for count in found.groups()]
    assert (counts[0], sum(counts)) == (test, 64)
    assert counts[1] >= 10  # all of them


def proof_of(run: pw.Run | Pretrained, proof: Any = None, note: Any = lambda line: None) -> tuple[list[Any], str]:
    """The pictures of a proof, and their description."""
    preprocess = run.preprocess if isinstance(run, Pretrained) else preprocess_of(run)
    digests = run.training_digests if isinstance(run, pw.Run) else None
    return choose_proof_pictures(run, proof, preprocess=preprocess, training_digests=digests, note=note)


def test_at_most_64_pictures_are_taken_from_the_whole_split(own_run: pw.Run) -> None:
    """The test split of digits has 320 pictures."""
    record = read_json(own_run.record_path)
    record["data"] |= {"address": "digits", "fingerprint": data.open("digits").fingerprint}
    write_record(own_run.record_path, record)
    shown, of = proof_of(pw.Run(own_run.folder))
    assert (len(shown), of) == (64, "test split of digits")
    samples = data.split(data.open("digits")).test
    last = pw.Preprocess(size=8, resize=8, mean=(0.5,), std=(0.5,), channels=1)(shown[-1])
    assert any(np.array_equal(last[..., 0], sample.picture) for sample in samples[250:])


def test_pictures_that_cannot_be_read_are_replaced_and_counted(own_run: pw.Run, shapes: Path, tmp_path: Path) -> None:
    damaged = Path(shutil.copytree(shapes, tmp_path / "shapes"))
    source = data.open(damaged)
    for file in sorted(damaged.rglob("*.png"))[::3]:
        file.write_bytes(file.read_bytes()[:60])  # a header, and no pixels
    notes: list[str] = []
    shown, of = proof_of(own_run, source, notes.append)
    assert len(shown) == 64
    assert of.endswith(" of shapes")
    assert len(notes) == 1
    assert re.match(r"the proof leaves out \d+ unreadable pictures: .*png", notes[0])


def test_any_pictures_prove_a_bundle(own_run: pw.Run, shapes: Path) -> None:
    """Also without labels, and fewer than are asked for; where there are none, it is refused."""
    shown, of = proof_of(own_run, shapes / "red")
    assert (len(shown), of) == (40, "red")
    with pytest.raises(PennyweightError, match="gone"):
        proof_of(own_run, shapes / "gone")


def test_a_name_is_proved_on_the_users_pictures_or_on_made_ones_which_is_said(trained: pw.Run, shapes: Path) -> None:
    named = zoo.open_pretrained("mobilenet_v1_x0_25", trained.weights_path)
    notes: list[str] = []
    assert proof_of(named, None, notes.append) == ([], "")
    assert notes == ["the bundle is proved on 16 pictures made for the proof; --proof SOURCE names real ones"]
    shown, of = proof_of(named, shapes / "blue")
    assert (len(shown), of) == (40, "blue")


def test_by_default_it_is_the_runs_own_and_replaces_the_one_before(own_run: pw.Run) -> None:
    own_run.bundle_path.write_bytes(b"the bundle of yesterday")
    made = pw.export(str(own_run.folder))
    assert made.path == own_run.bundle_path
    assert pw.Bundle(own_run.bundle_path).manifest.labels == ("blue", "green", "red")
    assert {path.name for path in own_run.folder.iterdir() if path.suffix == ".onnx"} == {"model.onnx"}


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("{folder}/gone", "not at hand: .*gone"),
        ("http://localhost:1/{{0..3}}.tar", "not at hand: http://.* is not fetched: only .* --proof http://"),
        ("digits", "not at hand: digits has other pictures than in training$"),
    ],
)
def test_where_the_source_is_gone_pictures_are_made_and_the_reason_is_said(
    own_run: pw.Run, address: str, reason: str
) -> None:
    record = read_json(own_run.record_path)
    record["data"]["address"] = address.format(folder=own_run.folder)
    write_record(own_run.record_path, record)
    notes: list[str] = []
    assert pw.export(own_run, note=notes.append).manifest.parity["of"] == "pictures made for the proof"
    (line,) = notes
    assert re.match(
        f"the bundle is proved on 16 pictures made for the proof, because those of the training are {reason}", line
    )


def test_a_proof_on_the_runs_own_pictures_needs_no_word(own_run: pw.Run) -> None:
    notes: list[str] = []
    pw.export(own_run, note=notes.append)
    assert notes == []


def test_a_named_file_that_exists_is_left_as_it_is(own_run: pw.Run, tmp_path: Path) -> None:
    path = tmp_path / "taken.onnx"
    path.write_bytes(b"somebody's")
    with pytest.raises(BundleError, match="exists already"):
        pw.export(own_run, path)
    assert path.read_bytes() == b"somebody's"


def test_no_folder_to_write_into(own_run: pw.Run, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="there is no folder"):
        pw.export(own_run, tmp_path / "none" / "m.onnx")
    assert not (tmp_path / "none").exists()


def test_a_failed_proof_leaves_the_bundle_that_was_there(own_run: pw.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    class Tampered(OnnxEngine):
        def __call__(self, pixels: np.ndarray) -> Outputs:
            outputs = super().__call__(pixels)
            return Outputs(np.roll(outputs.probabilities, 1, axis=1), outputs.logits)

    monkeypatch.setattr("pennyweight.deploy.export.OnnxEngine", Tampered)
    own_run.bundle_path.write_bytes(b"the bundle of yesterday")
    names = {path.name for path in own_run.folder.iterdir()}
    with pytest.raises(ParityError):
        pw.export(own_run)
    assert {path.name for path in own_run.folder.iterdir()} == names
    assert own_run.bundle_path.read_bytes() == b"the bundle of yesterday"


def test_a_full_disk_takes_no_half_bundle(own_run: pw.Run, small_disk: Path) -> None:
    (small_disk / "others").write_bytes(bytes(3_130_000))
    with pytest.raises(OSError, match="No space left on device") as raised:
        pw.export(own_run, small_disk / "m.onnx")
    assert raised.value.filename == str(small_disk / "m.onnx")
    assert [path.name for path in small_disk.iterdir()] == ["others"]
    (small_disk / "others").unlink()
    assert pw.export(own_run, small_disk / "m.onnx").manifest.labels


def test_what_is_no_whole_run(own_run: pw.Run, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no run or bundle at"):
        pw.export(tmp_path / "none")
    own_run.weights_path.write_bytes(own_run.weights_path.read_bytes()[:1000])
    with pytest.raises(PennyweightError, match=r"weights\.safetensors"):
        pw.export(own_run)
    own_run.weights_path.unlink()
    with pytest.raises(PennyweightError, match=r"weights\.safetensors"):
        pw.export(own_run)
    assert not own_run.bundle_path.exists()
