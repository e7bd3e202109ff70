"""The pictures of a page are those that enter the network, changed in training as the first epoch changes them."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import pennyweight as pw
from pennyweight import data
from pennyweight.core.errors import InputError
from pennyweight.core.preprocess import Preprocess
from pennyweight.data import Batch, Mixed
from pennyweight.report.contact_sheet import contact_sheet
from pennyweight.report.network_inputs import NetworkInputs
from pennyweight.train import Recipe
from pennyweight.verbs.network_inputs import _labels, inputs_as, show_inputs

PREPROCESS = Preprocess.for_input(32)


@pytest.fixture
def pictures(draw_folder: Callable[..., Path]) -> dict[data.Split, data.Pictures]:
    folder = draw_folder({"cats": 24, "dogs": 24, "birds": 3})
    source = data.open(str(folder))
    return data.make_split_pictures(source, data.split(source), PREPROCESS)


def shown(pictures: dict[data.Split, data.Pictures], **changes: object) -> NetworkInputs:
    recipe = Recipe(**{"flip": False, "shift": 0.0, "batch": 64, **changes})
    return show_inputs(pictures, recipe, seed=3, labels=("birds", "cats", "dogs"), network="net")


def test_unchanged_pictures_are_the_preprocessed_files(pictures: dict[data.Split, data.Pictures]) -> None:
    found = shown(pictures)
    assert found.changes == ()
    assert found.shape == (3, 32, 32)
    for part, each in (("train", found.training), ("val", found.validation)):
        files = {sample.name: sample for sample in pictures[part].samples}
        assert each
        for one in each:
            np.testing.assert_array_equal(one.image, PREPROCESS(files[one.name].read()))
            assert one.label == one.name.split("/")[0]


def test_every_class_is_shown(pictures: dict[data.Split, data.Pictures]) -> None:
    labels = [each.label for each in shown(pictures).training]
    assert len(labels) == 16
    assert set(labels) == {"birds", "cats", "dogs"}


def test_changed_pictures_are_those_of_the_first_epoch(pictures: dict[data.Split, data.Pictures]) -> None:
    recipe = Recipe(flip=True, shift=0.2, batch=64)
    found = show_inputs(pictures, recipe, seed=3, labels=("birds", "cats", "dogs"), network="net")
    assert found.changes == ("mirrored", "shifted by up to 20%")
    assert found.first is None
    (batch,) = pictures["train"].epoch(1, batch=64, seed=3, augment=recipe.augment)
    trained_on = {np.asarray(picture).tobytes() for picture in batch.pixels}
    assert {each.image.tobytes() for each in found.training} <= trained_on
    plain = {each.name: each.image for each in shown(pictures).training}
    assert any((plain[each.name] != each.image).any() for each in found.training)


def test_validation_is_never_changed(pictures: dict[data.Split, data.Pictures]) -> None:
    one, other = shown(pictures), shown(pictures, flip=True, shift=0.2, policy="trivial", erase=1.0)
    for left, right in zip(one.validation, other.validation, strict=True):
        np.testing.assert_array_equal(left.image, right.image)


def test_a_mixed_picture_names_both_classes(pictures: dict[data.Split, data.Pictures]) -> None:
    labels = [each.label for each in shown(pictures, cutmix=1.0).training]
    assert any("% cats, " in label or "% dogs, " in label for label in labels)
    assert not any(label.startswith(("0%", "100%")) for label in labels)


def test_frozen_features_are_of_unchanged_pictures(pictures: dict[data.Split, data.Pictures]) -> None:
    assert shown(pictures, mode="head", flip=True, views=0).changes == ()
    assert shown(pictures, mode="head", flip=True, views=2).changes == ("mirrored",)


def test_pictures_with_a_margin_are_shifted_within_it(draw_folder: Callable[..., Path]) -> None:
    source = data.open(str(draw_folder({"cats": 8, "dogs": 8})))
    made = data.make_split_pictures(source, data.split(source), Preprocess(size=64, resize=72))
    assert shown(made, shift=0.2).changes == ("shifted by up to 6%",)
    assert shown(made).changes == ()


def test_progressive_resizing_is_said(pictures: dict[data.Split, data.Pictures], tmp_path: Path) -> None:
    assert shown(pictures, first_size=0.5).first == (3, 16, 16)
    assert shown(pictures, first_size=0.5, mode="head").first is None
    facts = {"source": "pets", "sound": True, "verdict": "sound", "counts": {"cat": 1}, "splits": None, "notes": []}
    facts |= {"shortcuts": [], "findings": []}
    page = contact_sheet(facts, {}, shown=1, inputs=shown(pictures, first_size=0.5))
    assert "the first epoch has pictures of 3×16×16, and the last quarter" in page
    assert "Progressive resizing" not in contact_sheet(facts, {}, shown=1, inputs=shown(pictures))


@pytest.mark.parametrize(("side", "sizes"), [(60, ""), (200, "")], ids=["small", "large"])
def test_doctor_says_what_fit_has_still_to_decide(
    draw_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, side: int, sizes: str
) -> None:
    monkeypatch.setattr("pennyweight.data.readers.input_size.PHOTO_SIZE", 96)
    folder = draw_folder({"cats": 8, "dogs": 8}, side=side)
    found = pw.doctor(folder, quick=True, html=tmp_path / "page.html", network="mobilenet_v1_x0_25")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    for line, expected in (
        ("fit tries these changes against the labels first, and leaves out what contradicts them", True),
        ("fit also tries inputs of 192, and takes one if more detail tells the classes apart", side == 200),
    ):
        assert (line in found.notes) == expected
        assert (f"{line}." in page) == expected


def test_doctor_shows_the_pictures_as_a_network_sees_them(draw_folder: Callable[..., Path], tmp_path: Path) -> None:
    folder = draw_folder({"cats": 12, "dogs": 12})
    (folder / "cats" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    pw.doctor(folder, quick=True, html=tmp_path / "page.html", network="resnet_9_x0_25")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert 'id="inputs"' in page
    assert "resnet_9_x0_25 takes pictures of 3×32×32" in page
    assert "Input 32: all of the middle picture is shown, at " in page
    pw.doctor(folder, quick=True, html=tmp_path / "plain.html")
    assert 'id="inputs"' not in (tmp_path / "plain.html").read_text(encoding="utf-8")


def test_the_view_is_that_through_the_input_of_the_run(tmp_path: Path, trained: pw.Run) -> None:
    draw = np.random.default_rng(0)
    for number in range(12):
        path = tmp_path / "wide" / ("blue", "red")[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw.integers(0, 256, (20, 80, 3), dtype=np.uint8)).save(path)
    line = "nput 16: 75.0% of the middle picture is cut away, and the rest is shown at 0.8 times its size"
    found = pw.doctor(tmp_path / "wide", quick=True, html=tmp_path / "page.html", network=trained.folder)
    assert found.view is not None
    assert found.view.line.endswith(line)
    assert line in (tmp_path / "page.html").read_text(encoding="utf-8")
    report = (trained.folder / "report.html").read_text(encoding="utf-8")
    assert re.search("Input 16: .* of the middle picture is (shown|cut away), ", report)


def test_a_network_without_a_page_is_refused(draw_folder: Callable[..., Path]) -> None:
    with pytest.raises(InputError, match="add --html FILE"):
        pw.doctor(draw_folder({"cats": 2, "dogs": 2}), network="mobilenet_v2")


def test_a_bundle_or_an_unknown_name_is_refused(draw_folder: Callable[..., Path], tmp_path: Path) -> None:
    source = data.open(str(draw_folder({"cats": 8, "dogs": 8})))
    bundle = tmp_path / "model.onnx"
    bundle.write_bytes(b"onnx")
    with pytest.raises(InputError, match="give its run"):
        inputs_as(source, bundle)
    with pytest.raises(InputError, match="mobilenet_v2"):
        inputs_as(source, "mobilnet_v2")


def test_a_picture_mixed_with_one_of_its_class_has_that_class() -> None:
    targets = np.array([1, 1, 0])
    mixed = Mixed(np.array([1, 0, 1]), np.array([0.002, 0.7, 1.0]))
    batch = Batch(np.zeros((3, 4, 4, 3), np.uint8), targets, mixed)
    assert list(_labels(batch, ("hen", "cat"))) == ["cat", "70% cat, 30% hen", "hen"]
