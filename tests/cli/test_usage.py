"""Wrong usage is one line: the word received, the rule, the nearest one that works; and status 2."""

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SAID = {
    # a value of another kind, or outside of its limits
    "fit digits --epochs 0x": "--epochs takes a whole number, not '0x'",
    "fit digits --epochs=": "--epochs takes a whole number, not ''",
    "fit digits --seed 1.5": "--seed takes a whole number, not '1.5'",
    "fit digits --minutes soon": "--minutes takes a number, not 'soon'",
    "scene fit scene:synthetic --epochs many": "--epochs takes a whole number, not 'many'",
    "predict model.onnx a.png --top 0": "--top must be at least 1, not 0",
    "evaluate run --split exam": "--split takes train, val or test, not 'exam'",
    "evaluate run --split tst": "--split takes train, val or test, not 'tst'; did you mean 'test'?",
    "fit digits --stem none": "--stem takes imagenet or cifar, not 'none'",
    "fit digits --frame letterbox": "--frame takes auto, crop, pad or stretch, not 'letterbox'; did you mean 'pad'?",
    "fit digits --frame squish": "--frame takes auto, crop, pad or stretch, not 'squish'; did you mean 'stretch'?",
    # an option without its value, or with one that it does not take
    "fit digits --epochs": "--epochs takes a value: --epochs N",
    "fit digits --json=3": "--json takes no value",
    # an unknown option
    "fit digits --epoch 3": "pennyweight fit has no option '--epoch'; did you mean '--epochs'?",
    "fit digits --Epochs 3": "pennyweight fit has no option '--Epochs'; did you mean '--epochs'?",
    "fit digits -epochs 3": "pennyweight fit has no option '-epochs'; did you mean '--epochs'?",
    "fit digits --save_every=3": "pennyweight fit has no option '--save_every'; did you mean '--save-every'?",
    "names --jsn": "pennyweight names has no option '--jsn'; did you mean '--json'?",
    "names -x": "pennyweight names has no option '-x'; pennyweight names --help lists them",
    "evaluate run --frame pad": "pennyweight evaluate has no option '--frame'; pennyweight fit has",
    "scene fit scene:synthetic --frame pad": "pennyweight scene fit has no option '--frame'; pennyweight fit has",
    "--versio": "pennyweight has no option '--versio'; did you mean '--version'?",
    # a field of the recipe instead of an option
    "fit digits --learning-rate 0.1": "--learning-rate is a field of the recipe: --set lr=VALUE",
    "fit digits --lr=0.1": "--lr is a field of the recipe: --set lr=VALUE",
    "fit digits --wd 0.1": "--wd is a field of the recipe: --set weight_decay=VALUE",
    "fit digits --batch_size 8": "pennyweight fit has no option '--batch_size'; did you mean '--batch'?",
    # arguments that are missing, or too many
    "fit": "SOURCE is missing: pennyweight fit [OPTIONS] SOURCE",
    "predict model.onnx": "PATH... is missing: pennyweight predict [OPTIONS] RUN_OR_BUNDLE_OR_NAME PATH...",
    "scene predict run cube": "--map is missing: pennyweight scene predict [OPTIONS] RUN_OR_BUNDLE CUBE --map FILE",
    "fit digits cats dogs": "'cats dogs' is more than the command takes: pennyweight fit [OPTIONS] SOURCE",
    # an unknown command
    "fti digits": "pennyweight has no command 'fti'; did you mean 'fit'?",
    "Fit digits": "pennyweight has no command 'Fit'; did you mean 'fit'?",
    "scene score": "pennyweight scene has no command 'score'; there are fit, evaluate, predict, export, leakage, names",
    "lab guideline": "pennyweight lab has no command 'guideline'; did you mean 'guidelines'?",
}


@pytest.mark.parametrize("line", SAID)
def test_wrong_usage_is_one_line_and_status_2(pennyweight: Callable[..., Any], empty: Path, line: str) -> None:
    outcome = pennyweight(*shlex.split(line))
    assert (outcome.status, outcome.out, outcome.err) == (2, "", f"error: {SAID[line]}\n")
    assert list(empty.iterdir()) == []


@pytest.mark.parametrize("line", ["", "scene", "lab"])
def test_a_group_alone_shows_its_help(pennyweight: Callable[..., Any], line: str) -> None:
    outcome = pennyweight(*shlex.split(line))
    assert "Commands" in outcome.out + outcome.err
    assert "error:" not in outcome.out + outcome.err
