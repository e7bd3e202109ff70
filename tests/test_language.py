"""Docstrings and help say what is done or what a thing is: a verb or a noun first, never a question word."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import typer

from pennyweight.cli.app import make_command

SOURCE = Path(__file__).parents[1] / "src"
QUESTION = re.compile(r"(What|Whether|Where|How|When|Which|Why)\b")
BRITISH = re.compile(
    r"(?:colour|neighbour|behaviour|favour|learnt|labelled(?!by)|modell|cancell|grey|centre|licence|catalogue|artefact"
    r"|towards|(?:optim|normal|initial|regular|recogn|organ|summar|general|minim|maxim|visual|synchron|serial)is[eai]"
    r"|quantis[eai]|util(?:is)[eai])",
    re.IGNORECASE,
)
ARCHAIC = re.compile(r"(?<![\w#-])(?:anew|thereof|therein|whoever)(?![\w-])")
"""Words that a reader meets nowhere else in the field."""
OF_OTHERS = ("optimiser", "nearest neighbour", "mean_centres", "pennyweight-learnt", "CancelledError", ".cancelled(")
"""Words in British spelling that stay: names in other libraries, and keys in files of earlier versions."""
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def docstrings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """The line and the text of each docstring: of modules, classes, functions, and those below an assignment."""
    for node in ast.walk(tree):
        if not isinstance(node, DOCUMENTED):
            continue
        if text := ast.get_docstring(node):
            yield node.body[0].lineno, text
        for before, after in zip(node.body, node.body[1:], strict=False):
            match before, after:
                case ((ast.Assign() | ast.AnnAssign()), ast.Expr(value=ast.Constant(value=str(text)))):
                    yield after.lineno, text


def helps(command: typer.core.TyperGroup | typer.core.TyperCommand, name: str) -> Iterator[tuple[str, str]]:
    """The place and the text of each help: of a command, of its parameters, of its commands."""
    yield name, command.help or ""
    for parameter in command.params:
        yield f"{name} {'/'.join(parameter.opts)}", getattr(parameter, "help", None) or ""
    for inner, below in getattr(command, "commands", {}).items():
        yield from helps(below, f"{name} {inner}")


def test_no_docstring_begins_with_a_question_word(sources: Mapping[str, ast.Module]) -> None:
    found = {f"{file}:{line}": text[:60] for file, tree in sources.items() for line, text in docstrings(tree)}
    assert len(found) > 1000
    assert {place: text for place, text in found.items() if QUESTION.match(text.lstrip())} == {}


def test_no_help_begins_with_a_question_word() -> None:
    found = dict(helps(make_command(), "pennyweight"))
    assert len(found) > 100
    assert {place: text[:60] for place, text in found.items() if QUESTION.match(text.lstrip())} == {}


def test_no_sentence_has_an_archaic_turn(sources: Mapping[str, ast.Module]) -> None:
    """In docstrings, help and documentation."""
    found = {f"{file}:{line}": text for file, tree in sources.items() for line, text in docstrings(tree)}
    found |= dict(helps(make_command(), "pennyweight"))
    found |= {str(file): file.read_text(encoding="utf-8") for file in files_of("docs/**/*.md", "*.md")}
    assert {place: words for place, text in found.items() if (words := ARCHAIC.findall(text))} == {}


@pytest.mark.parametrize("sentence", ["Packs it anew.", "The parts thereof."])
def test_an_archaic_turn_is_found(sentence: str) -> None:
    assert ARCHAIC.search(sentence)


def files_of(*patterns: str) -> list[Path]:
    """The project's files of these patterns."""
    return [file for pattern in patterns for file in SOURCE.parent.glob(pattern)]


def test_spelling_is_american() -> None:
    """In code, pages, documentation and messages, as in the libraries that users come from."""
    root = SOURCE.parent
    files = files_of("src/**/*.py", "src/**/*.html", "docs/**/*.md", "*.md")
    assert len(files) > 400
    found = {
        f"{file.relative_to(root)}:{number}": words
        for file in files
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        if (words := [word[0] for word in BRITISH.finditer(line)]) and not any(other in line for other in OF_OTHERS)
    }
    assert found == {}


@pytest.mark.parametrize(
    "code",
    [
        '"""What it is."""',
        'class A:\n    """Whether."""',
        'class A:\n    b: int\n    """Where it stands."""',
        'def f():\n    """How to."""',
        'x = 1\n"""When."""',
    ],
)
def test_each_place_of_a_docstring_is_looked_at(code: str) -> None:
    ((_, text),) = docstrings(ast.parse(code))
    assert QUESTION.match(text)
