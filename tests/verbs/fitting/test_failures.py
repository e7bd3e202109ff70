"""What cannot be trained is one line, and leaves nothing behind."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import pennyweight as pw
from pennyweight import data
from pennyweight.core.errors import InputError, PennyweightError, SourceError

Fit = Callable[..., pw.Run]


@pytest.fixture
def cannot(fit_small: Fit, shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """`cannot(kind, source, **options)`: what `fit` says when it refuses, having written nothing at all."""
    place = tmp_path / "empty"
    place.mkdir()
    monkeypatch.chdir(place)

    def refuse(kind: type[PennyweightError], source: Any = shapes, **options: Any) -> str:
        with pytest.raises(kind) as raised:
            fit_small(source, **options)
        assert list(place.iterdir()) == []
        assert "\n" not in str(raised.value)
        return str(raised.value)

    return refuse


def test_names_and_values_that_cannot_be_used(cannot: Callable[..., str]) -> None:
    assert "did you mean 'mobilenet_v2'?" in cannot(InputError, model="mobilnet_v2")
    assert "did you mean 'epochs'?" in cannot(InputError, recipe={"epoch": 3})
    assert "did you mean 'width'?" in cannot(InputError, config={"widht": 1})
    assert "'width' must be above 0, not -1" in cannot(InputError, config={"width": -1})
    assert "'lr' must be a number, not 'fast'" in cannot(InputError, recipe={"lr": "fast"})
    assert "'epochs' must be at least 1, not 0" in cannot(InputError, recipe={"epochs": 0})
    assert "a teacher is the folder of a run, or a network's name" in cannot(InputError, teacher=__file__)
    assert "unknown stem 'stem'" in cannot(InputError, stem="stem")
    assert "not 0" in cannot(InputError, input_size=0)
    assert "minutes must be above 0 and finite, not 0" in cannot(InputError, minutes=0)
    assert "minutes must be above 0 and finite, not inf" in cannot(InputError, minutes=float("inf"))
    assert "minutes and epochs were both given" in cannot(InputError, minutes=1, recipe={"epochs": 3})
    assert "minutes and epochs were both given" in cannot(InputError, minutes=1, recipe=pw.Recipe(epochs=3))
    assert "speed is auto or fixed, not 'fast'" in cannot(InputError, speed="fast")
    assert "save_minutes must be at least 0, not nan" in cannot(InputError, save_minutes=float("nan"))
    assert "'num_classes'" in cannot(InputError, config={"num_classes": 7})


def test_what_would_do_nothing_is_refused(cannot: Callable[..., str]) -> None:
    head = {"mode": "head"}
    said = cannot(InputError, recipe={**head, "policy": "trivial"})
    assert said.startswith("recipe field 'policy' does nothing in mode head")
    assert said.endswith("--mode finetune has it, or --set views=4, features of 4 changed views")
    assert "'mixup' does nothing in mode head: --" in cannot(InputError, recipe={**head, "mixup": "0.3", "views": 2})
    assert "'erase' does nothing in mode head" in cannot(InputError, recipe=pw.Recipe(mode="head", erase=0.5))
    assert "'head_lr' does nothing in mode head: --mode" in cannot(InputError, recipe={**head, "head_lr": 1})
    assert "'freeze_norms' does nothing in mode head" in cannot(InputError, recipe={**head, "freeze_norms": "yes"})
    scratch = {"mode": "scratch", "views": 2}
    assert cannot(InputError, recipe=scratch).endswith("in mode scratch: --mode head or finetune has it")
    assert pw.Recipe(mode="head", views=2, erase=0.5).idle == ()
    assert cannot(InputError, recipe={**head, "flip": "no", "views": -1}).startswith("recipe field 'views' must")


def test_sources_that_cannot_be_used(
    cannot: Callable[..., str], draw_colours: Callable[..., Path], tmp_path: Path
) -> None:
    assert "no source 'nowhere'" in cannot(SourceError, "nowhere")
    draw_colours(tmp_path / "single", 5, colours=["red"])
    assert "needs at least two classes" in cannot(SourceError, tmp_path / "single")
    (draw_colours(tmp_path / "hollow", 5) / "yellow").mkdir()
    assert "yellow has no pictures" in cannot(SourceError, tmp_path / "hollow")
    draw_colours(tmp_path / "few", 2)
    assert "has 2 different pictures" in cannot(SourceError, tmp_path / "few")


def test_torn_pictures_are_left_out_and_named(
    fit_small: Fit, draw_colours: Callable[..., Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    root = draw_colours(tmp_path / "torn", 34)
    for colour in ("red", "green", "blue"):  # 3 of 102
        torn = root / colour / "0-03.png"
        torn.write_bytes(torn.read_bytes()[:300])
        Image.open(torn).close()  # its header is whole
    (root / "red" / "gone.png").symlink_to(root / "nowhere.png")
    for colour in ("red", "green"):  # two empty files are no picture under two labels
        (root / colour / "empty.png").touch()
    run = fit_small(root, out=tmp_path / "run", progress=True)
    names = {each["name"] for each in run.record["data"]["unreadable"]}
    empty = {"red/empty.png", "green/empty.png"}
    assert names == {"red/0-03.png", "green/0-03.png", "blue/0-03.png", "red/gone.png", *empty}
    said = capfd.readouterr().err
    assert "under two labels" not in said
    assert "left out: 2 pictures, such as " in said  # the empty ones
    assert all(name in said for name in names)
    (counts,) = re.findall(r"^pictures: train (\d+), val (\d+), test (\d+)$", said, re.MULTILINE)
    assert sum(map(int, counts)) == 102 - 3
    assert int(counts[2]) == run.evaluation["images"]
    assert list(run.record["data"]["counts"].values()) == list(map(int, counts))
    told: list[data.Unreadable] = []
    assert pw.evaluate(run, left_out=told.append).images == run.evaluation["images"]
    in_test = {sample.name for sample in data.split(data.open(root)).test}
    assert {each.name for each in told} == names & (in_test | {"red/gone.png"})


def test_wrong_labels_and_pictures_that_are_not_read_are_said(
    fit_small: Fit, draw_colours: Callable[..., Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    root = draw_colours(tmp_path / "odd", 12)
    shutil.copy(root / "red" / "0-03.png", root / "green" / "copy.png")
    with Image.open(root / "red" / "0-04.png") as one, Image.open(root / "red" / "0-05.png") as other:
        one.save(root / "blue" / "pages.tif", save_all=True, append_images=[other])
    fit_small(root, out=tmp_path / "run", progress=True)
    said = capfd.readouterr().err
    assert "pictures under two labels: 1, such as green/copy.png = red/0-03.png" in said
    assert "only the first frame or page of a file is read, such as that of blue/pages.tif" in said


def test_too_little_that_can_be_read_stops(
    cannot: Callable[..., str], draw_colours: Callable[..., Path], tmp_path: Path
) -> None:
    root = draw_colours(tmp_path / "torn", 5)
    for path in (root / "red").iterdir():
        path.write_bytes(path.read_bytes()[:300])
    assert "class 'red' of torn has no picture left" in cannot(SourceError, root)
    for path in (root / "green").iterdir():
        path.write_bytes(path.read_bytes()[:300])
    assert "10 of the 15 pictures of torn cannot be read" in cannot(SourceError, root)


def test_channels_that_no_picture_has_do_not_name_every_picture(
    cannot: Callable[..., str], draw_colours: Callable[..., Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    root = draw_colours(tmp_path / "colours", 12)
    assert "36 of the 36 pictures of colours cannot be read" in cannot(SourceError, root, channels=7, progress=True)
    lines = capfd.readouterr().err.splitlines()
    assert [line.partition(", such as ")[0] for line in lines if "left out" in line] == ["left out: 36 pictures"]
    assert any(line.endswith("--json` lists all of them") for line in lines)


def test_a_loss_that_is_no_number_leaves_nothing(cannot: Callable[..., str]) -> None:
    assert "--set lr=" in cannot(PennyweightError, recipe={"epochs": 1, "batch": 16, "lr": 1e30})
    recipe = {"mode": "finetune", "epochs": 1, "head_epochs": 2, "batch": 16, "head_lr": 1e30}
    assert "--set head_lr=1e+29" in cannot(PennyweightError, recipe=recipe)
    assert "'head_lr' must be above 0 and at most 1e+30, not" in cannot(InputError, recipe={"head_lr": 1e38})
