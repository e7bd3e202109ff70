"""A damaged file of a finished run, or of its bundle: refused, or the answers are the same."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import pennyweight as pw
from pennyweight.core.errors import BundleError, PennyweightError, RunError
from pennyweight.core.files import read_json, write_json
from pennyweight.core.run import Run, write_record
from pennyweight.core.training_digests import TrainingDigests, marks_of

PLACES = 3
"""Of each file, spread over its length."""


@pytest.fixture(scope="module")
def finished(trained: pw.Run, bundle: pw.Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of a run with its bundle."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    shutil.copytree(trained.folder, folder)
    shutil.copy(bundle.path, folder / "model.onnx")
    return folder


def flipped(path: Path) -> Iterator[str]:
    """Flip a byte of `path`, one after the other; the file is whole again behind each."""
    content = path.read_bytes()
    for place in {int(share * (len(content) - 1)) for share in np.linspace(0, 1, PLACES)}:
        path.write_bytes(content[:place] + bytes([content[place] ^ 0x10]) + content[place + 1 :])
        yield f"byte {place} of {path.name}"
    path.write_bytes(content)


def answers(folder: Path, picture: Path) -> dict[str, Callable[[], Any]]:
    """What a run and its bundle are asked."""

    def exported() -> Any:
        out = folder.parent / "again.onnx"
        try:
            manifest = pw.export(folder, out).manifest
            return manifest.labels, manifest.evaluation, manifest.preprocess, pw.load(out).predict(picture)
        finally:
            out.unlink(missing_ok=True)

    return {
        "evaluate": lambda: pw.evaluate(folder).to_dict(),
        "predict": lambda: pw.load(folder).predict(picture),
        "export": exported,
        "evaluate the bundle": lambda: pw.evaluate(folder / "model.onnx", str(picture.parent.parent)).to_dict(),
        "predict with the bundle": lambda: pw.load(folder / "model.onnx").predict(picture),
    }


MUST_REFUSE = {
    "weights.safetensors": {"evaluate", "predict", "export"},
    "model.onnx": {"evaluate the bundle", "predict with the bundle"},
    "seen.npy": {"evaluate", "export"},
    "evaluation.json": {"export"},
    "typicality.npz": {"predict", "export"},
}


@pytest.mark.slow
def test_a_flipped_byte_of_a_finished_run_is_refused_or_changes_no_answer(finished: Path, shapes: Path) -> None:
    asked = answers(finished, next(shapes.rglob("*.png")))
    right = {name: ask() for name, ask in asked.items()}
    refused: dict[str, set[str]] = {}
    lines: list[str] = []
    for path in sorted(path for path in finished.rglob("*") if path.is_file()):
        for what in flipped(path):
            for name, ask in asked.items():
                try:
                    answer = ask()
                except PennyweightError as error:
                    refused.setdefault(path.name, set()).add(name)
                    lines.append(str(error))
                else:
                    assert answer == right[name], (what, name)
                    assert name not in MUST_REFUSE.get(path.name, ()), (what, name)
    assert [line for line in lines if "\n" in line] == []
    assert refused.keys() == {*MUST_REFUSE, "run.json"}
    assert {name: ask() for name, ask in asked.items()} == right


@pytest.mark.parametrize("place", [0.5, 0.7, 0.99])
def test_weights_that_were_not_scored_are_refused(finished: Path, place: float, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "run")
    weights = tmp_path / "run" / "weights.safetensors"
    content = bytearray(weights.read_bytes())
    content[int(place * len(content))] ^= 0x40
    weights.write_bytes(content)
    config = read_json(finished / "run.json")["model"]["config"]
    refusal = r"weights\.safetensors has another SHA-256 .* name the file: --weights .*weights\.safetensors$"
    for ask in (
        lambda: pw.load(tmp_path / "run"),
        lambda: pw.evaluate(tmp_path / "run"),
        lambda: pw.export(tmp_path / "run"),
        lambda: pw.create("mobilenet_v1_x0_25", num_classes=3, weights=tmp_path / "run", **config),
    ):
        with pytest.raises(RunError, match=refusal):
            ask()
    # By its name, the file is taken as it is.
    assert pw.load("mobilenet_v1_x0_25", weights=weights, config=config).labels


def test_a_run_whose_labels_were_edited_is_refused(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "run")
    path = tmp_path / "run" / "run.json"
    record = read_json(path)
    record["data"]["labels"].reverse()
    write_json(path, record)
    with pytest.raises(RunError, match=r"run\.json is not as `fit` wrote it: its SHA-256 is another"):
        pw.export(tmp_path / "run")


def older(folder: Path, **changes: Any) -> Path:
    """Write run.json as before it kept digests, with `changes` of dotted fields, their dots written as double _."""
    record = read_json(folder / "run.json")
    record = {key: value for key, value in record.items() if key not in ("format", "sha256")}
    for name, value in changes.items():
        above, _, last = name.partition("__")
        record[above][last] = value
    write_json(folder / "run.json", record)
    return folder


@pytest.mark.parametrize("witness", ["evaluation.json", "weights.safetensors"])
@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (["red", "green", "blue"], "its labels\\[0\\] is 'red', and 'blue' in"),
        (["blue", "green", "Red"], "its labels\\[2\\] is 'Red', and 'red' in"),
        (["blue", "green"], "its number of labels is 2, and 3 in"),
    ],
)
def test_labels_that_were_edited_in_a_run_without_digests_are_refused(
    finished: Path, tmp_path: Path, witness: str, labels: list[str], said: str
) -> None:
    run = older(shutil.copytree(finished, tmp_path / "run"), data__labels=labels)
    if witness != "evaluation.json":  # a training that did not finish
        (run / "evaluation.json").unlink()
    for ask in (pw.load, pw.evaluate, lambda run: pw.export(run, tmp_path / "out.onnx"), lambda run: Run(run).record):
        with pytest.raises(RunError, match=rf"run\.json is not as `fit` wrote it: {said} {witness}"):
            ask(run)
    assert not (tmp_path / "out.onnx").exists()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model__stem": "imagenet"}, "its stem is 'imagenet', and 'cifar' in weights"),
        ({"model__name": "mobilenet_v1_x0_5"}, "its name is 'mobilenet_v1_x0_5', and 'mobilenet_v1_x0_25' in weights"),
        ({"preprocess__mean": [0.5, 0.456, 0.406]}, "its mean\\[0\\] is 0.5, and 0.485 in weights"),
        ({"preprocess__size": 15}, "its size is 15, and 16 in weights"),
        ({"preprocess__interpolation": "bicubic"}, "its interpolation is 'bicubic', and 'bilinear' in weights"),
    ],
)
def test_a_network_or_a_preprocessing_that_was_edited_without_digests_is_refused(
    finished: Path, tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    run = older(shutil.copytree(finished, tmp_path / "run"), **changes)
    with pytest.raises(RunError, match=said):
        pw.load(run)


def test_a_run_without_digests_serves(finished: Path, shapes: Path, tmp_path: Path) -> None:
    picture = next(shapes.rglob("*.png"))
    run = older(shutil.copytree(finished, tmp_path / "run"))
    assert pw.load(run).predict(picture) == pw.load(finished).predict(picture)
    (run / "evaluation.json").write_text("{")  # what does not need the file does not mind it
    assert pw.load(run).predict(picture) == pw.load(finished).predict(picture)


def test_a_run_whose_split_was_edited_is_refused(finished: Path, tmp_path: Path) -> None:
    for name, changes in {
        "run.json": {"data": {"split_fingerprint": "sha256:0"}},
        "evaluation.json": {"split": "train"},
    }.items():
        folder = shutil.copytree(finished, tmp_path / name)
        record = read_json(folder / name)
        for key, value in changes.items():
            record[key] = {**record[key], **value} if isinstance(value, dict) else value
        write_json(folder / name, record)
        with pytest.raises(RunError, match=name):
            pw.export(folder, tmp_path / "out.onnx")
    assert not (tmp_path / "out.onnx").exists()


def test_a_record_that_asks_for_more_memory_than_there_is_is_refused_before_it_is_taken(
    finished: Path, tmp_path: Path
) -> None:
    run = Run(shutil.copytree(finished, tmp_path / "run"))
    record = run.record
    record["model"]["config"]["width"] = 1e6  # petabytes
    write_record(run.record_path, record)
    with pytest.raises(PennyweightError, match=r"weights\.safetensors holds another network's weights"):
        pw.load(run.folder)


def test_a_run_of_before_checksums_serves_and_says_so(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "run")
    path = tmp_path / "run" / "run.json"
    write_json(path, {key: value for key, value in read_json(path).items() if key not in ("format", "sha256")})
    assert pw.load(tmp_path / "run").labels == pw.load(finished).labels
    (note,) = Run(tmp_path / "run").notes
    assert "its files are not checked" in note


def test_a_run_that_lost_what_it_learnt_from_scores_nothing(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "run")
    (tmp_path / "run" / "seen.npy").unlink()
    with pytest.raises(RunError, match=r"seen\.npy is missing"):
        pw.evaluate(tmp_path / "run")
    record = read_json(tmp_path / "run" / "run.json")
    del record["sha256"]["seen.npy"]
    write_record(tmp_path / "run" / "run.json", record)
    assert pw.evaluate(tmp_path / "run")


def resaved(bundle: Path, out: Path, change: Callable[[onnx.ModelProto], None]) -> Path:
    model = onnx.load(bundle)
    change(model)
    onnx.save(model, out)
    return out


def without(*keys: str) -> Callable[[onnx.ModelProto], None]:
    def change(model: onnx.ModelProto) -> None:
        kept = {prop.key: prop.value for prop in model.metadata_props if prop.key not in keys}
        if "pennyweight-sha256" in keys:
            kept["pennyweight"] = json.dumps(json.loads(kept["pennyweight"]) | {"format": 1})
        del model.metadata_props[:]
        onnx.helper.set_model_props(model, kept)

    return change


def test_a_bundle_that_something_else_wrote_is_refused(bundle: pw.Bundle, tmp_path: Path) -> None:
    def scale(model: onnx.ModelProto) -> None:
        largest = max(model.graph.initializer, key=lambda each: len(each.raw_data))
        largest.raw_data = largest.raw_data[:-1] + bytes([largest.raw_data[-1] ^ 1])

    for change in (scale, without("pennyweight-learnt")):
        with pytest.raises(BundleError, match="is not as `export` wrote it: its SHA-256 differs; export it again"):
            pw.Bundle(resaved(bundle.path, tmp_path / "other.onnx", change))


def test_a_bundle_that_lost_its_seal_is_refused(bundle: pw.Bundle, tmp_path: Path) -> None:
    (tmp_path / "cut.onnx").write_bytes(bundle.path.read_bytes()[:-88])
    with pytest.raises(BundleError, match="is not as `export` wrote it"):
        pw.Bundle(tmp_path / "cut.onnx")


def test_a_bundle_of_before_seals_serves(bundle: pw.Bundle, tmp_path: Path) -> None:
    old = resaved(bundle.path, tmp_path / "old.onnx", without("pennyweight-sha256", "pennyweight-learnt"))
    assert pw.load(old).labels == bundle.manifest.labels
    assert pw.Bundle(old).training_digests is None


def test_a_bundle_leaves_out_the_pictures_that_its_run_leaves_out(
    trained: pw.Run, bundle: pw.Bundle, shapes: Path, draw_colours: Callable[..., Path], tmp_path: Path
) -> None:
    draw_colours(tmp_path / "mix", 4, seed=7)
    for number, path in enumerate(sorted(shapes.rglob("*.png"))[::3]):
        shutil.copy(path, tmp_path / "mix" / path.parent.name / f"copy-{number}.png")
    said: dict[str, list[str]] = {}
    by_name = ("mobilenet_v1_x0_25", {"weights": trained.weights_path})
    scored = {}
    for name, (what, resume_note) in {"run": (trained, {}), "bundle": (bundle, {}), "name": by_name}.items():
        lines = said.setdefault(name, [])
        scored[name] = pw.evaluate(
            what, str(tmp_path / "mix"), left_out=lambda each, lines=lines: lines.append(each.reason), **resume_note
        ).images
    assert scored["run"] == scored["bundle"] == scored["name"] < len(list((tmp_path / "mix").rglob("*.png")))
    (line,) = said["bundle"]
    assert line == said["run"][0].replace(str(trained.folder), str(bundle.path))


def test_a_bundle_that_does_not_say_what_it_learnt_from_says_that(
    bundle: pw.Bundle, draw_colours: Callable[..., Path], tmp_path: Path
) -> None:
    old = resaved(bundle.path, tmp_path / "old.onnx", without("pennyweight-sha256", "pennyweight-learnt"))
    notes: list[str] = []
    pw.evaluate(old, str(draw_colours(tmp_path / "other", 4, seed=9)), note=notes.append)
    (note,) = notes
    assert note.endswith("does not record its training pictures: some of other may be among them")


def test_what_was_learnt_from_takes_five_bytes_a_picture_and_errs_seldom() -> None:
    draw = np.random.default_rng(0)
    training_digests = TrainingDigests.of(draw.integers(0, 2**64, 20_000, np.uint64))
    short = TrainingDigests.from_text(training_digests.to_text(), name="m.onnx")
    assert len(training_digests.to_text()) <= 20_000 * 5 * 4 / 3 + 4
    assert short.knows(training_digests.marks).all()
    assert short.error_rate < 2e-8
    assert not short.knows(draw.integers(0, 2**64, 20_000, np.uint64)).any()
    assert training_digests.knows(marks_of([f"{training_digests.marks[3]:016x}" + "0" * 48])).all()


@pytest.mark.parametrize("text", ["AAAA", "no base64!", "é", "A"])
def test_what_does_not_say_what_was_learnt_from_is_refused(text: str) -> None:
    with pytest.raises(BundleError, match=r"m\.onnx has damaged digests"):
        TrainingDigests.from_text(text, name="m.onnx")
