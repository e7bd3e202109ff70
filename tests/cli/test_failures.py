"""Bad input gets one line and leaves nothing behind."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
SMALL = ("--model", "mobilenet_v1_x0_25", "--config", "stages=[[32, 1, 1]]", "--input", "16", "--epochs", "1")


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_that_does_not_exist(cannot: Callable[..., str]) -> None:
    assert "no source 'no-such-folder'" in cannot("fit", "no-such-folder", *SMALL)
    assert "did you mean 'digits'?" in cannot("fit", "digit", *SMALL)


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [("--teacher", "nosuch", "unknown network 'nosuch'"), ("--input", "4", "an input of 4×4 pixels is too small")],
)
def test_what_cannot_be_used_is_said_before_pictures_are_read(
    pennyweight: Run, empty: Path, option: str, value: str, said: str
) -> None:
    outcome = pennyweight("fit", "digits", "--model", "resnet_9_x0_25", option, value, "--epochs", "1")
    assert outcome.status == 1
    assert said in outcome.err.splitlines()[-1]
    assert "reading pictures" not in outcome.err
    assert list(empty.iterdir()) == []


def test_a_class_folder_without_pictures(
    cannot: Callable[..., str], draw_pictures: Callable[[Path, int], Path], tmp_path: Path
) -> None:
    folder = draw_pictures(tmp_path / "holes", 4)
    (folder / "grey").mkdir()
    (folder / "grey" / "notes.txt").write_text("to be filled")
    assert f"{folder / 'grey'} has no pictures" in cannot("fit", folder, *SMALL)


def test_one_class_alone(cannot: Callable[..., str], pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "single").mkdir()
    (tmp_path / "single" / "dark").symlink_to(pictures / "dark")
    assert "at least two classes, found one: 'dark'" in cannot("fit", tmp_path / "single", *SMALL)


def test_no_classes_at_all(cannot: Callable[..., str], pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "hollow").mkdir()
    assert "no class folders" in cannot("fit", tmp_path / "hollow", *SMALL)
    assert "no class folders" in cannot("fit", pictures / "dark", *SMALL)
    (tmp_path / "file.txt").write_text("x")
    assert "is a file" in cannot("fit", tmp_path / "file.txt", *SMALL)


def test_text_files_with_the_names_of_pictures(
    pennyweight: Run, empty: Path, draw_pictures: Callable[[Path, int], Path], tmp_path: Path
) -> None:
    folder = draw_pictures(tmp_path / "mixed", 4)
    (folder / "dark" / "letter.jpg").write_text("Dear Sir or Madam,\n")
    for number in range(4):
        (folder / "dark" / f"{number:02d}.png").write_text(f"No. {number}")
    outcome = pennyweight("fit", folder, *SMALL)
    assert (outcome.status, outcome.out) == (1, "")
    assert outcome.err.splitlines()[-1].startswith("error: 5 of the 9 pictures of mixed cannot be read")
    lines = [line for line in outcome.err.splitlines() if line.startswith("left out: ")]
    assert lines[0].startswith("left out: 5 pictures, such as dark/")
    assert len(lines) == 1
    assert f"`pennyweight doctor {folder} --json` lists all of them" in outcome.err
    assert list(empty.iterdir()) == []


@pytest.mark.slow
def test_a_torn_picture_is_named_and_left_out(
    pennyweight: Run, empty: Path, draw_pictures: Callable[[Path, int], Path], tmp_path: Path
) -> None:
    file = draw_pictures(tmp_path / "torn", 4) / "dark" / "02.png"
    file.write_bytes(file.read_bytes()[:400])
    outcome = pennyweight("fit", tmp_path / "torn", *SMALL)
    assert outcome.status == 0
    assert f"left out: cannot read {file}: " in outcome.err
    assert "Traceback" not in outcome.err


# Names and values


@pytest.mark.parametrize("command", [("weigh", "mobilnet_v2"), ("fit", "digits", "--model", "mobilnet_v2")])
def test_a_misspelt_network(cannot: Callable[..., str], command: tuple[str, ...]) -> None:
    assert cannot(*command) == "error: unknown network 'mobilnet_v2'; did you mean 'mobilenet_v2'?"


def test_a_pattern_that_matches_none(cannot: Callable[..., str]) -> None:
    assert "no network matches 'alexnet*'" in cannot("names", "alexnet*")


@pytest.mark.parametrize(
    ("pair", "said"),
    [
        ("widht=0.5", "unknown Config field 'widht'; did you mean 'width'?"),
        ("width=wide", "Config field 'width' must be a number, not 'wide'"),
        ("width=0", "Config field 'width' must be above 0, not 0.0"),
        ("width=nan", "Config field 'width' must be"),
        ("width", "--config 'width' is not NAME=VALUE"),
        ("=1", "--config '=1' is not NAME=VALUE"),
        ("dropout=1", "Config field 'dropout' must be at least 0 and below 1, not 1.0"),
        ("activation=gelu", "Config field 'activation' must be one of"),
        ("num_classes=4", "unknown Config field 'num_classes'"),
        ("stages=1", "Config field 'stages' must be"),
    ],
)
def test_config_that_cannot_be_used(cannot: Callable[..., str], pair: str, said: str) -> None:
    assert said in cannot("weigh", "mobilenet_v2", "--config", pair)
    assert said in cannot("fit", "digits", "--model", "mobilenet_v2", "--config", pair)


@pytest.mark.parametrize(
    ("pair", "said"),
    [
        ("epoch=3", "unknown recipe field 'epoch'; did you mean 'epochs'?"),
        ("lr=fast", "recipe field 'lr' must be a number, not 'fast'"),
        ("lr=-1", "recipe field 'lr' must be above 0 and at most 1e+30, not -1.0"),
        ("lr", "--set 'lr' is not NAME=VALUE"),
        ("batch=1", "recipe field 'batch' must be at least 2"),
        ("batch=2.5", "recipe field 'batch' must be a whole number, not '2.5'"),
        ("optimizer=lion", "recipe field 'optimizer' must be one of adamw, adam, sgd, muon, lbfgs, not 'lion'"),
        ("flip=maybe", "recipe field 'flip' must be true or false, not 'maybe'"),
    ],
)
def test_recipes_that_cannot_be_used(cannot: Callable[..., str], pair: str, said: str) -> None:
    assert said in cannot("fit", "digits", "--set", pair)


def test_a_field_given_twice(cannot: Callable[..., str]) -> None:
    said = cannot("fit", "digits", "--recipe", "quick", "--set", "name=steady")
    assert "--recipe and --set name= were both given" in said
    assert "--epochs and --set epochs= were both given" in cannot("fit", "digits", "--epochs", 1, "--set", "epochs=2")


@pytest.mark.parametrize("shape", ["big", "3x-1x4", "0x8x8", "3x٣x8", "", "axbxc"])
def test_a_shape_that_is_none(cannot: Callable[..., str], shape: str) -> None:
    assert f"--input-shape '{shape}' is not CxHxW" in cannot("weigh", "mobilenet_v2", "--input", shape)


@pytest.mark.parametrize("size", ["0", "-3"])
def test_an_input_size_that_is_none(cannot: Callable[..., str], size: str) -> None:
    said = cannot("fit", "digits", "--input", size, "--epochs", "1")
    assert said.rstrip().endswith((f"not {size}", f"not '{size}'"))


def test_a_seed_that_is_none(cannot: Callable[..., str]) -> None:
    assert "seed must be at least 0" in cannot("fit", "digits", "--seed", "-1")


# What is there already, and what is not there


def test_an_out_that_exists_is_not_touched(
    pennyweight: Run, empty: Path, pictures: Path, run_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.txt").write_text("years of work")
    (tmp_path / "taken.onnx").write_bytes(b"somebody's")
    before = tree(tmp_path)
    for name in ("taken", "taken.onnx"):
        assert "exists already" in pennyweight("fit", pictures, *SMALL, "--out", tmp_path / name).error
    assert "exists already" in pennyweight("export", run_folder, "--out", tmp_path / "taken.onnx").error
    assert "exists already" in pennyweight("export", run_folder, "--out", tmp_path / "taken").error
    assert tree(tmp_path) == before
    assert list(empty.iterdir()) == []


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_bundle_cut_short(
    cannot: Callable[..., str], bundle_file: Path, pictures: Path, tmp_path: Path, share: float
) -> None:
    whole = bundle_file.read_bytes()
    cut = tmp_path / "cut.onnx"
    cut.write_bytes(whole[: int(share * len(whole))])
    for command in (("predict", cut, pictures / "dark" / "01.png"), ("evaluate", cut, pictures)):
        assert str(cut) in cannot(*command)


def test_what_is_no_run_and_no_bundle(cannot: Callable[..., str], pictures: Path, tmp_path: Path) -> None:
    picture = pictures / "dark" / "01.png"
    for command in (("predict", "nothing", picture), ("evaluate", "nothing", pictures)):
        assert "no run or bundle at nothing" in cannot(*command)
    assert "no run or bundle at nothing, and unknown network 'nothing'" in cannot("export", "nothing")
    for command in (("predict", pictures, picture), ("evaluate", pictures), ("export", pictures)):
        assert "is not a run: it has no run.json" in cannot(*command)
    for command in (("predict", picture, picture), ("evaluate", picture, pictures), ("export", picture)):
        assert "not a whole ONNX file" in cannot(*command)


def test_a_source_with_a_class_that_is_not_known(
    cannot: Callable[..., str], run_folder: Path, draw_pictures: Callable[[Path, int], Path], tmp_path: Path
) -> None:
    (draw_pictures(tmp_path / "other", 3) / "dark").rename(tmp_path / "other" / "dim")
    assert "'dim' that the network does not know" in cannot("evaluate", run_folder, tmp_path / "other")


def test_a_folder_without_pictures_to_predict(cannot: Callable[..., str], bundle_file: Path, tmp_path: Path) -> None:
    (tmp_path / "hollow").mkdir()
    assert "hollow has no pictures" in cannot("predict", bundle_file, tmp_path / "hollow")


def test_a_loss_that_is_no_number(pennyweight: Run, pictures: Path, empty: Path) -> None:
    outcome = pennyweight("fit", pictures, *SMALL, "--set", "lr=1e30")
    assert (outcome.status, outcome.out) == (1, "")
    errors = [line for line in outcome.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert "the loss became" in errors[0]
    assert outcome.err.splitlines()[-1] == errors[0]
    assert list(empty.iterdir()) == []


@pytest.mark.parametrize("command", [("weigh", "mobilenet_v2"), ("doctor", "digits"), ("lab", "guidelines")])
def test_no_page_is_written_over_a_file(cannot: Callable[..., str], tmp_path: Path, command: tuple[str, ...]) -> None:
    page = tmp_path / "notes.md"
    page.write_text("mine")
    assert f"{page} exists already; nothing is overwritten" in cannot(*command, "--html", page)
    assert page.read_text() == "mine"


def test_a_field_of_the_recipe_by_another_librarys_name(cannot: Callable[..., str]) -> None:
    found = cannot("fit", "digits", "--set", "learning_rate=0.1")
    assert found == "error: unknown recipe field 'learning_rate'; did you mean 'lr'?"


@pytest.mark.skipif(os.name != "posix", reason="elsewhere a working folder cannot be deleted")
@pytest.mark.parametrize("command", [["names"], ["fit", "digits"], ["predict", "m.onnx", "a.png"], ["--help"]])
def test_a_deleted_working_folder_is_one_line(
    pennyweight: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert "the working folder was deleted; change to one that exists" in pennyweight(*command).error
