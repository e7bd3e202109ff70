"""What is no source, run, network or recipe at all is named by its kind."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

import pennyweight as pw

NO_RUN = "a run, a bundle or a network's name was expected, not"
CASES: dict[str, tuple[Callable[[], object], str]] = {
    "load None": (lambda: pw.load(None), f"{NO_RUN} NoneType"),
    "evaluate": (lambda: pw.evaluate(5, "digits"), f"{NO_RUN} int 5"),
    "export": (lambda: pw.export(["run"]), f"{NO_RUN} list ['run']"),
    "fit": (lambda: pw.fit(5), "a source is a path or a name, such as digits, not int 5"),
    "doctor": (lambda: pw.doctor(None), "a source is a path or a name, such as digits, not NoneType"),
    "pack": (lambda: pw.pack("digits", 5), "a folder or an address for the shards was expected, not int 5"),
    "recipe": (lambda: pw.fit("digits", recipe=0.1), "a recipe is a Recipe, a name or a mapping of its fields, not"),
    "model": (lambda: pw.fit("digits", model=5), "a network's name is text such as mobilenet_v2, not int 5"),
    "create": (lambda: pw.create(5), "a network's name is text such as mobilenet_v2, not int 5"),
    "weigh on a number": (lambda: pw.weigh("mobilenet_v2", 224), "such as (3, 224, 224) and 1, not int 224 and int 1"),
    "weigh on a text": (lambda: pw.weigh("mobilenet_v2", "3x224x224"), "(3, 224, 224) and 1, not str '3x224x224'"),
    "weigh a text of them": (lambda: pw.weigh("mobilenet_v2", (3, 64, 64), batch="2"), "and str '2'"),
    "weigh": (lambda: pw.weigh(5), "a network's name is text such as mobilenet_v2, not int 5"),
}


@pytest.mark.parametrize("case", CASES)
def test_what_was_given_is_named(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    call, message = CASES[case]
    with pytest.raises(pw.PennyweightError, match=re.escape(message)):
        call()
    assert list(tmp_path.iterdir()) == []
