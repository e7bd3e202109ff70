"""A name with weights does what a run does: it predicts, is scored, is exported, and trained further."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torchvision import models

import pennyweight as pw
from pennyweight import zoo
from pennyweight.core.errors import InputError
from pennyweight.core.labels import imagenet_labels
from pennyweight.nn.weights import read_weights
from pennyweight.zoo import from_torchvision


def test_a_runs_weights_say_all_that_their_use_needs(trained: pw.Run, shapes: Path) -> None:
    """The file alone, under the network's name, answers as the run does."""
    with safe_open(trained.weights_path, framework="pt") as file:
        said = file.metadata()
    assert {"layout", "network", "stem", "config", "padding", "activation", "bn_eps", "input", "mean", "std"} <= set(
        said
    )
    assert json.loads(said["labels"]) == ["blue", "green", "red"]
    by_name = pw.load("mobilenet_v1_x0_25", weights=trained.weights_path)
    by_run = pw.load(trained)
    assert (by_name.labels, by_name.preprocess) == (by_run.labels, by_run.preprocess)
    pictures = sorted(shapes.rglob("*.png"))[:6]
    expected = [
        replace(each, typical=None) for each in by_run.predict(pictures)
    ]  # which a file beside the weights says
    assert by_name.predict(pictures) == expected
    assert pw.load("mobilenet_v1_x0_25", weights=trained.folder).predict(pictures) == expected
    scored = pw.evaluate("mobilenet_v1_x0_25", str(shapes), weights=trained.weights_path)
    assert scored.to_dict() == pw.evaluate("mobilenet_v1_x0_25", str(shapes), weights=trained.folder).to_dict()
    assert scored.split == "test"  # the file knows its training pictures
    assert scored.labels == ("blue", "green", "red")


@pytest.mark.parametrize(
    ("name", "settings"), [("inception_v3", {"init_weights": False}), ("regnet_y_400mf", {}), ("maxvit_t", {})]
)
@pytest.mark.slow
def test_torchvisions_networks_classify_as_published(
    name: str, settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also those that normalise inside, that compute while they are made, and that have one input size."""
    torch.manual_seed(0)
    theirs = models.get_model(name, transform_input=True, **settings) if settings else models.get_model(name)
    torch.save(theirs.state_dict(), tmp_path / "w.pth")
    monkeypatch.setattr(from_torchvision, "fetch", lambda url, path, checksum: tmp_path / "w.pth")
    made = zoo.open_pretrained(f"torchvision:{name}", "imagenet")
    x = torch.randn(1, 3, made.preprocess.size, made.preprocess.size)
    with torch.inference_mode():
        torch.testing.assert_close(made.network(x), theirs.eval()(x))


def test_a_folder_called_like_a_tag_or_a_network_hides_neither(
    publisher: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("imagenet", "mobilenet_v2"):
        (tmp_path / name).mkdir()
    assert pw.load("mobilenet_v2", weights="imagenet").labels == imagenet_labels()
    with pytest.raises(InputError, match="nothing says which weights"):
        pw.load("mobilenet_v2")


def test_loading_draws_no_random_numbers(trained: pw.Run) -> None:
    before = torch.random.get_rng_state()
    pw.load("mobilenet_v1_x0_25", weights=trained.folder)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_weights_for_a_run_are_refused(trained: pw.Run) -> None:
    with pytest.raises(InputError, match="weights belong to a network's name"):
        pw.load(trained, weights="imagenet")


def test_nothing_is_fetched_for_what_cannot_be_trained(shapes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pennyweight.zoo.pretrained.fetch", lambda *args, **more: pytest.fail("it was fetched"))
    for wrong in ({"config": {"widht": 1}}, {"recipe": {"lrr": 1}}):
        with pytest.raises(InputError):
            pw.fit(shapes, "mobilenet_v2", weights="imagenet", progress=False, **wrong)


def test_a_name_is_exported_with_its_weights(trained: pw.Run, shapes: Path, tmp_path: Path) -> None:
    bundle = pw.export("mobilenet_v1_x0_25", tmp_path / "named.onnx", weights=trained.weights_path)
    assert bundle.manifest.evaluation is None
    assert bundle.manifest.parity["same_top1"] == bundle.manifest.parity["pictures"] > 0
    picture = next(shapes.rglob("*.png"))
    (found,), (expected,) = pw.load(bundle).predict(picture), pw.load(trained).predict(picture)
    assert dict(found.top) == pytest.approx(dict(expected.top), abs=1e-4)
    with pytest.raises(pw.PennyweightError, match="name others: evaluate"):
        pw.evaluate(bundle)
    with pytest.raises(pw.PennyweightError, match="exists already"):
        pw.export("mobilenet_v1_x0_25", tmp_path / "named.onnx", weights=trained.weights_path)
    with pytest.raises(InputError, match="is a bundle already"):
        pw.export(bundle)


@pytest.mark.slow
def test_the_bundle_of_a_name_goes_where_the_command_runs(
    trained: pw.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert pw.export("mobilenet_v1_x0_25", weights=trained.weights_path).path == Path("mobilenet_v1_x0_25.onnx")
    assert [file.name for file in tmp_path.iterdir()] == ["mobilenet_v1_x0_25.onnx"]


def test_training_starts_from_weights(
    trained: pw.Run, fit_small: Callable[..., pw.Run], shapes: Path, tmp_path: Path
) -> None:
    """Their input, stem, Config and preprocessing are taken over; at rate 0 their answers stay."""
    still = {"epochs": 1, "batch": 8, "lr": 1e-12, "weight_decay": 0.0}
    run = fit_small(shapes, weights=trained.weights_path, recipe=still, out=tmp_path / "more", input_size=None)
    assert run.record["weights"] == "weights.safetensors"
    assert run.record["preprocess"] == trained.record["preprocess"]
    before, after = read_weights(trained.weights_path), read_weights(run.weights_path)
    for key, value in before.items():
        if "running" not in key and "tracked" not in key:
            torch.testing.assert_close(after[key], value, rtol=0, atol=1e-6)


def test_other_classes_get_a_new_head(
    trained: pw.Run,
    fit_small: Callable[..., pw.Run],
    draw_colours: Callable[..., Path],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    two = draw_colours(tmp_path / "two", 12, colours=("blue", "red"))
    run = fit_small(two, weights=trained.folder, out=tmp_path / "run", progress=True)
    assert "the head is new, because 3 classes became 2" in capfd.readouterr().err
    assert run.labels == ["blue", "red"]


@pytest.mark.slow
def test_networks_of_other_libraries_go_the_whole_road(
    fit_small: Callable[..., pw.Run], shapes: Path, tmp_path: Path
) -> None:
    run = fit_small(shapes, model="torchvision:mobilenet_v3_small", input_size=32, out=tmp_path / "run")
    assert run.record["model"]["stem"] == "imagenet"
    bundle = pw.export(run)
    assert bundle.manifest.parity["same_top1"] == bundle.manifest.parity["pictures"]
    assert pw.evaluate(bundle, str(shapes)).accuracy == run.evaluation["accuracy"]
    named = pw.load("torchvision:mobilenet_v3_small", weights=run.weights_path)
    picture = next(shapes.rglob("*.png"))
    expected = [replace(each, typical=None) for each in pw.load(run).predict(picture)]
    assert named.predict(picture) == expected


@pytest.mark.parametrize(
    ("what", "weights", "message"),
    [
        ("mobilenet_v1", None, "'mobilenet_v1' is a network, and nothing says which weights"),
        ("mobilnet_v1", None, "unknown network 'mobilnet_v1'; did you mean 'mobilenet_v1'"),
        ("mobilnet_v1", "imagenet", "unknown network 'mobilnet_v1'; did you mean 'mobilenet_v1'"),
        ("some/run", "imagenet", "weights belong to a network's name, such as mobilenet_v2, not to some/run"),
        ("gone.onnx", None, r"no run or bundle at gone\.onnx"),
        ("mobilenet_v1", "gone.pth", "there is no such file"),
    ],
)
def test_what_cannot_be_loaded_is_explained(what: str, weights: str | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        pw.load(what, weights=weights)


def test_published_weights_come_from_their_publisher_once(publisher: Any, shapes: Path, tmp_path: Path) -> None:
    picture = next(shapes.rglob("*.png"))
    for tag in ("imagenet", "IMAGENET1K_V2"):
        classifier = pw.load("mobilenet_v2", weights=tag)
        assert classifier.labels == imagenet_labels()
        assert (classifier.preprocess.size, classifier.preprocess.resize) == (64, 72)
        (prediction,) = classifier.predict(picture)
        assert prediction.label in imagenet_labels()
    assert publisher.asked == [None]
    theirs = models.mobilenet_v2()
    theirs.load_state_dict(torch.load(next((tmp_path / "cache" / "weights").glob("*.pth")), weights_only=True))
    x = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        ours = pw.create("mobilenet_v2", weights="imagenet").eval()
        torch.testing.assert_close(ours(x), theirs.eval()(x), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "file", "least"),
    [
        ("mobilenet_v2", "mobilenet_v2-imagenet-tf_same-224.safetensors", 0.88),
        ("mobilenet_v1_x0_25", "mobilenet_v1_x0_25-imagenet-leaky-224.safetensors", 0.52),
    ],
)
def test_a_published_network_names_photographs(name: str, file: str, least: float, tmp_path: Path) -> None:
    root = os.environ.get("PENNYWEIGHT_DATA")
    if not root:
        pytest.skip("PENNYWEIGHT_DATA is not set")
    weights, photos = Path(root) / "weights" / file, Path(root) / "imagenet-photos"
    scored = pw.evaluate(name, str(photos), weights=weights)
    assert (scored.images, scored.split) == (334, "all")
    assert scored.accuracy >= least
    bundle = pw.export(name, tmp_path / "named.onnx", weights=weights)
    (tench,) = pw.load(bundle).predict(next((photos / "n01440764").glob("*.jpg")))
    assert tench.label == "tench"
    assert pw.evaluate(bundle, str(photos)).accuracy == pytest.approx(scored.accuracy, abs=1e-9)


@pytest.mark.slow
def test_a_vit_is_trained_further_at_another_size(
    fit_small: Callable[..., pw.Run], shapes: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    small = {"d": 24, "heads": 3, "hidden": 48, "blocks": 4}
    torch.save(zoo.create("vit_ti_16", num_classes=3, size=64, **small).state_dict(), tmp_path / "w.pth")
    run = fit_small(
        shapes,
        model="vit_ti_16",
        stem="imagenet",
        config=small,
        weights=tmp_path / "w.pth",
        input_size=32,
        out=tmp_path / "run",
        progress=True,
    )
    assert "the positions were interpolated, because 4×4 patches became 2×2" in capfd.readouterr().err
    assert run.record["model"]["config"]["size"] == 32
