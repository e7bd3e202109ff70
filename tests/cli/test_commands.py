"""Each command does its work, and prints what a person or a program can read."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import pennyweight as pw
from pennyweight.cli.app import make_command

Run = Callable[..., Any]


def one_object(text: str) -> dict[str, Any]:
    """The one JSON object that is all of `text`."""
    value = json.loads(text)
    assert isinstance(value, dict)
    assert text.count("\n") == 1
    return value


# What is promised: a change here is a change for everyone who wrote a script.
PROMISED = {
    "names": {"PATTERN": "optional", "--json": "flag"},
    "weigh": {
        "NETWORK...": "required",
        "--input-shape": "value",
        "--batch": "value",
        "--stem": "value",
        "--config": "repeated",
        "--by": "value",
        "--sort": "value",
        "--lint": "flag",
        "--training-step": "flag",
        "--measure": "flag",
        "--repeats": "value",
        "--threads": "value",
        "--json": "flag",
        "--csv": "flag",
        "--html": "value",
        "--depth": "value",
        "--unit": "value",
        "--digits": "value",
        "--markdown": "flag",
        "--latex": "flag",
    },
    "fit": {
        "SOURCE": "required",
        "--model": "value",
        "--input-size": "value",
        "--frame": "value",
        "--stem": "value",
        "--config": "repeated",
        "--weights": "value",
        "--out": "value",
        "--recipe": "value",
        "--mode": "value",
        "--corrections": "value",
        "--folds": "value",
        "--teacher": "value",
        "--minutes": "value",
        "--speed": "value",
        "--preflight": "flag",
        "--augment": "value",
        "--resume": "flag",
        "--save-minutes": "value",
        "--log": "value",
        "--seeds": "value",
        "--epochs": "value",
        "--batch": "value",
        "--seed": "value",
        "--group-by": "value",
        "--twins": "value",
        "--columns": "repeated",
        "--pictures": "value",
        "--ending": "value",
        "--label-from": "value",
        "--channels": "value",
        "--max-pixels": "value",
        "--shuffle-buffer": "value",
        "--trust": "flag",
        "--set": "repeated",
        "--wait": "value",
        "--json": "flag",
    },
    "evaluate": {
        "RUN_OR_BUNDLE_OR_NAME": "required",
        "SOURCE": "optional",
        "--split": "value",
        "--rename": "repeated",
        "--max-pixels": "value",
        "--columns": "repeated",
        "--pictures": "value",
        "--ending": "value",
        "--label-from": "value",
        "--weights": "value",
        "--stem": "value",
        "--input-size": "value",
        "--config": "repeated",
        "--mean": "value",
        "--std": "value",
        "--engine": "value",
        "--threads": "value",
        "--precision": "value",
        "--labels": "value",
        "--strangers": "value",
        "--wait": "value",
        "--json": "flag",
    },
    "compare": {
        "RUN_OR_BUNDLE...": "required",
        "--source": "value",
        "--split": "value",
        "--max-pixels": "value",
        "--measure": "flag",
        "--json": "flag",
        "--csv": "flag",
        "--markdown": "flag",
        "--latex": "flag",
        "--html": "value",
    },
    "export": {
        "RUN_OR_NAME": "required",
        "--out": "value",
        "--weights": "value",
        "--stem": "value",
        "--input-size": "value",
        "--config": "repeated",
        "--mean": "value",
        "--std": "value",
        "--int8": "flag",
        "--max-drop": "value",
        "--calibrate": "value",
        "--tune": "flag",
        "--prune": "value",
        "--to": "value",
        "--proof": "value",
        "--labels": "value",
    },
    "bundle": {"BUNDLE": "required", "--markdown": "flag", "--json": "flag"},
    "predict": {
        "RUN_OR_BUNDLE_OR_NAME": "required",
        "PATH...": "required",
        "--top": "value",
        "--columns": "repeated",
        "--pictures": "value",
        "--ending": "value",
        "--fetch": "flag",
        "--weights": "value",
        "--stem": "value",
        "--input-size": "value",
        "--config": "repeated",
        "--mean": "value",
        "--std": "value",
        "--engine": "value",
        "--threads": "value",
        "--precision": "value",
        "--labels": "value",
        "--max-pixels": "value",
        "--csv": "value",
        "--jsonl": "flag",
        "--parts": "value",
        "--format": "value",
        "--part-size": "value",
        "--workers": "value",
        "--embeddings": "value",
        "--strangers": "value",
        "--least-typical": "value",
        "--wait": "value",
        "--json": "flag",
    },
    "serve": {
        "BUNDLE...": "required",
        "--max-bytes": "value",
        "--max-pixels": "value",
        "--max-pictures": "value",
        "--host": "value",
        "--port": "value",
        "--token-file": "value",
        "--workers": "value",
        "--queue": "value",
        "--timeout": "value",
        "--strangers": "value",
        "--least-typical": "value",
        "--log": "value",
    },
    "doctor": {
        "SOURCE": "required",
        "--group-by": "value",
        "--max-pixels": "value",
        "--columns": "repeated",
        "--pictures": "value",
        "--ending": "value",
        "--label-from": "value",
        "--html": "value",
        "--like": "value",
        "--as": "value",
        "--quick": "flag",
        "--json": "flag",
    },
    "pack": {
        "SOURCE": "required",
        "OUT": "required",
        "--group-by": "value",
        "--columns": "repeated",
        "--pictures": "value",
        "--ending": "value",
        "--label-from": "value",
        "--resize": "value",
        "--shard-size": "value",
        "--format": "value",
        "--json": "flag",
    },
    "index": {"ADDRESS": "required", "--json": "flag"},
    "review": {
        "RUN": "required",
        "SOURCE": "optional",
        "--max-pixels": "value",
        "--columns": "repeated",
        "--pictures": "value",
        "--ending": "value",
        "--label-from": "value",
        "--corrections": "value",
        "--html": "value",
        "--csv": "value",
        "--count": "value",
        "--json": "flag",
    },
    "suggest": {
        "RUN": "required",
        "FOLDER": "required",
        "SOURCE": "optional",
        "--max-pixels": "value",
        "--columns": "repeated",
        "--pictures": "value",
        "--ending": "value",
        "--label-from": "value",
        "--corrections": "value",
        "--html": "value",
        "--csv": "value",
        "--count": "value",
        "--json": "flag",
    },
    "pick": {
        "[SOURCE]": "optional",
        "--group-by": "value",
        "--ms": "value",
        "--params": "value",
        "--size": "value",
        "--memory": "value",
        "--macs": "value",
        "--accuracy": "value",
        "--classes": "value",
        "--space": "value",
        "--engine": "value",
        "--threads": "value",
        "--batch": "value",
        "--int8": "flag",
        "--device": "value",
        "--storage": "value",
        "--weights": "value",
        "--seed": "value",
        "--seconds": "value",
        "--minutes": "value",
        "--out": "value",
        "--html": "value",
        "--json": "flag",
    },
    "bench": {
        "[RUN_OR_BUNDLE_OR_NAME]...": "optional",
        "--engines": "value",
        "--threads": "value",
        "--batch": "value",
        "--precision": "value",
        "--weights": "value",
        "--source": "value",
        "--repeats": "value",
        "--machine": "flag",
        "--share": "value",
        "--anyway": "flag",
        "--out": "value",
        "--json": "flag",
        "--csv": "flag",
        "--html": "value",
    },
    "scene fit": {
        "SCENE": "required",
        "--labels": "value",
        "--test-labels": "value",
        "--split-map": "value",
        "--names": "value",
        "--background": "value",
        "--bands": "value",
        "--ignore-place": "flag",
        "--split": "value",
        "--train": "value",
        "--model": "value",
        "--window": "value",
        "--components": "value",
        "--config": "repeated",
        "--recipe": "value",
        "--epochs": "value",
        "--batch": "value",
        "--set": "repeated",
        "--seed": "value",
        "--seeds": "value",
        "--with-baselines": "flag",
        "--cut": "value",
        "--protocol": "value",
        "--resume": "flag",
        "--save-minutes": "value",
        "--out": "value",
        "--wait": "value",
        "--json": "flag",
    },
    "scene evaluate": {"RUN": "required", "--bfloat16": "flag", "--json": "flag"},
    "scene export": {"RUN": "required", "--out": "value"},
    "scene predict": {
        "RUN_OR_BUNDLE": "required",
        "CUBE": "required",
        "--map": "value",
        "--labels": "value",
        "--background": "value",
        "--ignore-place": "flag",
        "--bfloat16": "flag",
        "--json": "flag",
    },
    "scene leakage": {
        "LABELS": "required",
        "--test": "value",
        "--split": "value",
        "--train": "value",
        "--window": "value",
        "--background": "value",
        "--seed": "value",
        "--json": "flag",
    },
    "scene names": {"PATTERN": "optional", "--json": "flag"},
    "lab guidelines": {
        "--repeats": "value",
        "--batch": "value",
        "--side": "value",
        "--threads": "value",
        "--html": "value",
        "--json": "flag",
    },
}
DEFAULTS = {
    "names": {"pattern": "*"},
    "weigh": {"batch": 1, "digits": 4},
    "fit": {
        "twins": "group",
        "model": "auto",
        "frame": "auto",
        "seed": 0,
        "augment": "check",
        "save_minutes": 5.0,
        "seeds": 1,
        "wait": 5.0,
    },
    "evaluate": {"split": "test", "wait": 5.0},
    "compare": {"split": "test"},
    "doctor": {},
    "pack": {"shard_size": "256MB", "format": "webdataset"},
    "index": {},
    "export": {},
    "bundle": {},
    "predict": {"top": 5, "strangers": "flag", "wait": 5.0},
    "bench": {},
    "review": {},
    "serve": {
        "max_bytes": "32MB",
        "max_pictures": 64,
        "host": "127.0.0.1",
        "port": 8000,
        "timeout": 30.0,
        "strangers": "flag",
        "log": "text",
    },
    "suggest": {"count": 24},
    "pick": {"batch": 1, "seed": 0, "seconds": 25.0},
    "lab guidelines": {"repeats": 30, "batch": 1, "side": 56},
    "scene fit": {"model": "auto", "seed": 0, "save_minutes": 5.0, "seeds": 1, "wait": 5.0},
    "scene evaluate": {},
    "scene export": {},
    "scene predict": {},
    "scene leakage": {"seed": 0},
    "scene names": {"pattern": "*"},
}
ALIASES = {
    "bench": {"--engine": "--engines"},
    "weigh": {"--input": "--input-shape", "--training": "--training-step"},
    "fit": {"--input": "--input-size", "--save-every": "--save-minutes"},
    "evaluate": {"--input": "--input-size"},
    "export": {"--input": "--input-size"},
    "predict": {"--input": "--input-size"},
    "scene fit": {"--baselines": "--with-baselines", "--save-every": "--save-minutes"},
}
"""Older spellings, which commands take and help does not show."""


def every_command() -> dict[str, Any]:
    group: Any = make_command()
    commands = {name: command for name, command in group.commands.items() if not command.hidden}
    for name in ("lab", "scene"):
        commands |= {f"{name} {inner}": command for inner, command in commands.pop(name).commands.items()}
    return commands


def test_commands_and_options_are_those_promised() -> None:
    found: dict[str, dict[str, str]] = {}
    defaults: dict[str, dict[str, Any]] = {}
    aliases: dict[str, dict[str, str]] = {}
    for name, command in every_command().items():
        found[name], defaults[name] = {}, {}
        for parameter in command.params:
            if parameter.param_type_name == "argument":
                found[name][parameter.metavar] = "required" if parameter.required else "optional"
            else:
                shown, *others = parameter.opts
                aliases.setdefault(name, {}).update(dict.fromkeys(others, shown))
                found[name][shown] = "flag" if parameter.is_flag else "repeated" if parameter.multiple else "value"
            if not (parameter.required or parameter.default is None or parameter.default is False):
                defaults[name][parameter.name] = parameter.default
    assert found == PROMISED
    assert defaults == DEFAULTS
    assert {name: of_command for name, of_command in aliases.items() if of_command} == ALIASES


@pytest.mark.parametrize("command", PROMISED)
def test_each_command_has_help(pennyweight: Run, command: str) -> None:
    outcome = pennyweight(*command.split(), "--help")
    assert outcome.status == 0
    assert outcome.err == ""
    for option in PROMISED[command]:
        assert option in outcome.out


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("command", PROMISED)
def test_help_fits_its_width_and_breaks_no_word(
    pennyweight: Run, command: str, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    lines = pennyweight(*command.split(), "--help").out.splitlines()
    assert max(map(len, lines)) <= width
    words = {word for line in lines for word in line.split()}
    parameters = every_command()[command].params
    for parameter in parameters:
        name = parameter.metavar if parameter.param_type_name == "argument" else parameter.opts[0]
        assert name in words | {word.partition("/")[0] for word in words}
        assert set(parameter.help.split()) <= words
    assert f"Usage: pennyweight {command} [OPTIONS]" in "\n".join(lines)
    assert not {"{", "<", ">"} & set("".join(lines))


@pytest.mark.parametrize("command", PROMISED)
def test_options_stand_in_panels_of_one_order(pennyweight: Run, command: str) -> None:
    titles = [line.split()[1] for line in pennyweight(*command.split(), "--help").out.splitlines() if line[:1] == "╭"]
    order = ("Arguments", "Data", "Network", "Training", "Server", "Execution", "Time", "Measurement", "Output")
    assert titles == [title for title in order if title in titles]
    assert titles[-1] == "Output"
    assert ("Data" in titles) <= ("Arguments" in titles)  # a command that takes no source has no options of one
    assert ("Training" in titles) == command.endswith(("fit", "pick"))


# names


def test_every_recipe_is_in_the_help_of_fit(pennyweight: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from pennyweight.train import RECIPES

    monkeypatch.setenv("COLUMNS", "400")
    said = pennyweight("fit", "--help").out
    assert [name for name in RECIPES if f" {name}," not in said and f", {name}." not in said] == []


def test_names_lists_the_tables(pennyweight: Run) -> None:
    outcome = pennyweight("names")
    assert (outcome.status, outcome.err) == (0, "")
    assert all(name in outcome.out for name in pw.names())
    assert "3,504,872" in outcome.out
    assert "published" in outcome.out


def test_names_as_json(pennyweight: Run) -> None:
    outcome = pennyweight("names", "mobilenet_v1*", "--json")
    assert (outcome.status, outcome.err) == (0, "")
    rows = one_object(outcome.out)["networks"]
    assert [row["name"] for row in rows] == pw.names("mobilenet_v1*")
    assert next(row for row in rows if row["name"] == "mobilenet_v1") == {
        "name": "mobilenet_v1",
        "params": 4_231_976,
        "macs": 568_740_352,
        "input_shape": [3, 224, 224],
        "published_top1": 70.6,
        "weights": {},
    }


# fit, evaluate, export, predict


def test_fit_makes_a_run_and_says_where(pennyweight: Run, pictures: Path, empty: Path) -> None:
    outcome = pennyweight("fit", pictures, "--model", "mobilenet_v1_x0_25", "--input", "16", "--epochs", "1")
    assert outcome.status == 0
    run = pw.Run("runs/light-mobilenet_v1_x0_25-1")  # type: ignore[arg-type]
    assert f"run     {run.folder}\n" in outcome.out
    assert f"report  {run.report_path}\n" in outcome.out
    assert f"{run.evaluation['accuracy']:.1%}" in outcome.out
    assert "epoch 1/1" in outcome.err


def test_fit_as_json_with_all_its_options(pennyweight: Run, pictures: Path, empty: Path) -> None:
    outcome = pennyweight(
        *("fit", pictures, "--model", "mobilenet_v2", "--input", "24", "--stem", "imagenet"),
        *("--config", "width=0.1", "--config", "dropout=0", "--out", "here/run", "--epochs", "2", "--batch", "16"),
        *("--seed", "3", "--set", "lr=0.1", "--set", "optimizer=sgd", "--set", "flip=false", "--json"),
    )
    assert outcome.status == 0
    found = one_object(outcome.out)
    run = pw.Run("here/run")  # type: ignore[arg-type]
    assert found == {
        "run": "here/run",
        "report": "here/run/report.html",
        "model": run.record["model"],
        "best": run.record["best"],
        "evaluation": run.evaluation,
    }
    assert run.record["model"]["config"] == {"width": 0.1, "dropout": 0.0}
    assert run.record["model"]["stem"] == "imagenet"
    assert run.record["preprocess"]["size"] == 24
    assert run.record["seed"] == 3
    expected = pw.Recipe(epochs=2, batch=16, lr=0.1, optimizer="sgd", flip=False)
    assert run.record["recipe"] == {**expected.to_dict(), "stretches": []}
    assert "epoch 2/2" in outcome.err


def test_evaluate_a_run(pennyweight: Run, run_folder: Path) -> None:
    kept = json.loads((run_folder / "evaluation.json").read_text())
    outcome = pennyweight("evaluate", run_folder)
    assert (outcome.status, outcome.err) == (0, "")
    assert f"test split of light: accuracy {kept['accuracy']:.1%} of {kept['images']} pictures" in outcome.out
    outcome = pennyweight("evaluate", run_folder, "--json")
    assert (outcome.status, outcome.err) == (0, "")
    assert one_object(outcome.out) == kept


def test_evaluate_a_bundle_on_a_source_and_a_split(
    pennyweight: Run, run_folder: Path, bundle_file: Path, pictures: Path
) -> None:
    kept = json.loads((run_folder / "evaluation.json").read_text())
    found = one_object(pennyweight("evaluate", bundle_file, pictures, "--json").out)
    assert found["confusion"] == kept["confusion"]
    train = one_object(pennyweight("evaluate", bundle_file, pictures, "--split", "train", "--json").out)
    assert train["split"] == "train"
    assert train["images"] > found["images"]


def test_a_foreign_folder_is_all_of_it(
    pennyweight: Run, run_folder: Path, draw_pictures: Callable[..., Path], tmp_path: Path
) -> None:
    outcome = pennyweight("evaluate", run_folder, draw_pictures(tmp_path / "other", 3, seed=1))
    assert outcome.status == 0
    assert outcome.out.startswith("all of other: accuracy ")
    assert " of 6 pictures (95% interval " in outcome.out


def test_export_says_where_and_what_the_proof_found(pennyweight: Run, run_folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(run_folder, tmp_path / "copy")
    outcome = pennyweight("export", copy)
    assert (outcome.status, outcome.err) == (0, "")
    proof = pw.Bundle(copy / "model.onnx").manifest.parity
    assert outcome.out.startswith(f"{copy / 'model.onnx'}: ")
    assert f"proved on {proof['pictures']} pictures ({proof['of']})" in outcome.out
    assert proof["of"].endswith("of the training split of light")
    assert len(outcome.out.splitlines()) == 1


@pytest.fixture(params=["run", "bundle"])
def either(request: pytest.FixtureRequest, run_folder: Path, bundle_file: Path) -> Path:
    """A run or a bundle: both serve."""
    return run_folder if request.param == "run" else bundle_file


def test_predict_pictures_and_folders(pennyweight: Run, either: Path, pictures: Path) -> None:
    file = pictures / "dark" / "07.png"
    outcome = pennyweight("predict", either, file, pictures / "bright", "--json")
    assert outcome.status == 0
    assert outcome.err.startswith("note: 25 pictures answered in ")
    found = one_object(outcome.out)
    assert found["failures"] == []
    bright = sorted((pictures / "bright").iterdir())
    assert [row["source"] for row in found["predictions"]] == [str(file), *map(str, bright)]
    expected = pw.load(either).predict(file)[0]
    assert dict(found["predictions"][0]["top"]) == pytest.approx(dict(expected.top), abs=1e-6)
    assert found["predictions"][0]["top"][0][0] == "dark"
    assert all(len(row["top"]) == 2 for row in found["predictions"])


def test_evaluate_renames_classes(pennyweight: Run, bundle_file: Path, pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "new" / "Dark ones").mkdir(parents=True)
    for file in (pictures / "dark").iterdir():  # other files than those that the network has learned from
        with Image.open(file) as image:
            image.save(tmp_path / "new" / "Dark ones" / f"{file.stem}.bmp")
    outcome = pennyweight("evaluate", bundle_file, tmp_path / "new", "--rename", "Dark ones=dark", "--json")
    assert (outcome.status, one_object(outcome.out)["images"]) == (0, 24)
    assert "is not NAME=VALUE" in pennyweight("evaluate", bundle_file, pictures, "--rename", "dark").error


def test_predict_for_a_person(
    pennyweight: Run, bundle_file: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(pictures)
    outcome = pennyweight("predict", bundle_file, "dark/07.png", "bright/01.png", "--top", "1")
    assert (outcome.status, outcome.err) == (0, "")
    rows = [line.split() for line in outcome.out.splitlines()[2:]]
    assert [row[:2] for row in rows] == [["dark/07.png", "dark"], ["bright/01.png", "bright"]]


def test_top_is_how_many_are_named(pennyweight: Run, bundle_file: Path, pictures: Path) -> None:
    file = pictures / "dark" / "07.png"
    for top, named in ((1, 1), (2, 2), (50, 2)):
        found = one_object(pennyweight("predict", bundle_file, file, "--top", top, "--json").out)
        assert len(found["predictions"][0]["top"]) == named
