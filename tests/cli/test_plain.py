"""The plain form of `predict`: read without Typer, it asks for what Typer reads, and nothing else is plain."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from pennyweight.cli.app import make_command
from pennyweight.cli.commands import predict as command
from pennyweight.cli.plain import plain_predict
from pennyweight.cli.predicting import PredictRequest
from pennyweight.core.errors import InputError

PLAIN = (
    "m.onnx a.jpg",
    "m.onnx a.jpg folder 'with blank' -",
    "m.onnx a.jpg --json",
    "--json m.onnx --top 3 a.jpg",
    "m.onnx --jsonl a.jpg b.jpg",
    "m.onnx a.jpg --csv out.csv --jsonl",
    "m.onnx a.jpg --csv - --top 12",
    "run -",
)
OTHER = (
    "",
    "--help",
    "m.onnx",
    "m.onnx --help",
    "m.onnx a.jpg -h",
    "m.onnx a.jpg --top",
    "m.onnx a.jpg --top 0",
    "m.onnx a.jpg --top -1",
    "m.onnx a.jpg --top=3",
    "m.onnx a.jpg --top 3.0",
    "m.onnx a.jpg --top 3 --top 4",
    "m.onnx a.jpg --csv --json",
    "m.onnx a.jpg --json --json",
    "m.onnx a.jpg --engine openvino",
    "m.onnx a.jpg --jsom",
    "m.onnx -- a.jpg",
    "m.onnx scene:salinas-a",
    "m.onnx Scene:salinas-a",
)


def asked_by_typer(monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> PredictRequest:
    asked: list[PredictRequest] = []
    monkeypatch.setattr(command, "predict_and_print", lambda each: asked.append(each) or 0)
    with pytest.raises(SystemExit):
        make_command()(arguments, prog_name="pennyweight")
    return asked[0]


@pytest.mark.parametrize("line", PLAIN)
def test_a_plain_line_asks_for_what_typer_reads(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, line: str) -> None:
    monkeypatch.chdir(tmp_path)
    plain = plain_predict(arguments := ["predict", *shlex.split(line)])
    assert plain is not None
    typer = asked_by_typer(monkeypatch, arguments)
    assert set(typer.usage.values()) == {None}
    assert plain == typer._replace(usage=plain.usage)


@pytest.mark.parametrize("line", OTHER)
def test_any_other_line_is_left_to_typer(line: str) -> None:
    assert plain_predict(["predict", *shlex.split(line)]) is None


@pytest.mark.parametrize("arguments", [[], ["--version"], ["evaluate", "m.onnx", "digits"]])
def test_another_command_is_left_to_typer(arguments: list[str]) -> None:
    assert plain_predict(arguments) is None


def test_outputs_that_mix_are_refused_in_a_plain_line_too() -> None:
    with pytest.raises(InputError, match="--jsonl and --json both print on standard output"):
        plain_predict(["predict", "m.onnx", "a.jpg", "--json", "--jsonl"])
