"""What the documentation shows is run: every python block, and every pennyweight or python line of a console block."""

import contextlib
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image

from pennyweight.cli import main

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs").rglob("*.md"))
PLACES = (ROOT, ROOT / "src" / "pennyweight")
FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# Installing and making are another check's work: they would change the environment that runs this one.
RUN = ("pennyweight", "python")
NEEDS = {"examples/spark_predict.py": "pyspark"}
"""Programs that need another package; where it is not installed, or Spark has no Java, they are not run."""


class Block(NamedTuple):
    language: str
    text: str
    line: int


def test_each_decision_has_a_number_of_its_own_and_a_row_in_the_table() -> None:
    files = sorted(file.name for file in (ROOT / "docs" / "decisions").glob("0*.md"))
    numbers = [name[:4] for name in files]
    assert len(numbers) == len(set(numbers))
    table = (ROOT / "docs" / "decisions" / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| \[(\d{4})\]\((0[^)]*)\)", table, re.MULTILINE) == list(zip(numbers, files, strict=True))


def blocks(path: Path) -> list[Block]:
    """The fenced blocks of a page, in order of appearance."""
    text = path.read_text(encoding="utf-8")
    return [Block(found[1], found[2], text.count("\n", 0, found.start()) + 2) for found in FENCE.finditer(text)]


def commands(block: Block) -> Iterator[list[str]]:
    """The commands of a console block that are run: argument lists, without comments."""
    for line in block.text.replace("\\\n", "").splitlines():
        if line.startswith("$ "):
            arguments = shlex.split(line[2:], comments=True)
            missing = {name for name, part in NEEDS.items() if not (find_spec(part) and shutil.which("java"))}
            if Path(arguments[0]).name in RUN and not missing & {*arguments}:
                yield arguments


def shell(arguments: list[str], folder: Path) -> None:
    """Run a command as a reader would: the command line in this process, a program with this environment's Python.

    A page names programs and files as seen from the project's folder.
    """
    shown = f"$ {shlex.join(arguments)}"
    program, *given = (
        Path(arguments[0]).name,
        *(str(ROOT / a) if a.startswith("examples/") else a for a in arguments[1:]),
    )
    if program == "pennyweight":
        said = io.StringIO()
        with contextlib.chdir(folder), contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            status = main(given)
        assert status == 0, f"{shown}\n{said.getvalue()}"
        return
    bin_ = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{bin_}{os.pathsep}{os.environ.get('PATH', '')}", "OMP_NUM_THREADS": "1"}
    environment["SPARK_LOCAL_IP"] = "127.0.0.1"  # a container may not know its own name
    done = subprocess.run([bin_ / program, *given], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{shown}\n{done.stderr}"


@pytest.fixture
def cache(
    exported_once: None,
    few_rounds: None,
    few_trees: None,
    few_candidates: Callable[[], Any],
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Path]:
    """Keep nothing of what a page measures of this machine; small networks are quickest on one thread."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("PENNYWEIGHT_CACHE", str(folder))
    few_candidates()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield folder
    torch.set_num_threads(threads)


def run_page(path: Path, folder: Path) -> int:
    """Run a page's blocks in `folder`; python blocks share their names. How many pieces ran."""
    names: dict[str, Any] = {"__name__": "__main__"}
    ran = 0
    for block in blocks(path):
        if block.language == "python":
            # Blank lines before it make the line numbers of a traceback those of the page.
            code = compile("\n" * (block.line - 1) + block.text, str(path), "exec")
            with contextlib.redirect_stdout(io.StringIO()):
                exec(code, names)
            ran += 1
        elif block.language == "console":
            for arguments in commands(block):
                shell(arguments, folder)
                ran += 1
    return ran


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(
            path,
            marks=pytest.mark.slow if blocks(path) else (),
            id=path.relative_to(ROOT).as_posix(),
        )
        for path in PAGES
    ],
)
def test_a_page_of_the_documentation_runs(
    page: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    if any("digits" in block.text for block in blocks(page)):
        shutil.copytree(request.getfixturevalue("seen_digits"), cache, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    run_page(page, tmp_path)


@pytest.mark.slow
def test_the_readme_runs(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    draw = np.random.default_rng(0)
    for name, level in (("cats", 60), ("dogs", 190)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(20):
            pixels = np.clip(draw.normal(level, 40, (48, 64, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{number}.jpg")
    shutil.copy(tmp_path / "photos" / "cats" / "0.jpg", tmp_path / "holiday.jpg")
    assert run_page(ROOT / "README.md", tmp_path) == 10


def test_pages_with_something_to_run_are_found() -> None:
    """A pattern that stopped matching would make every check above pass."""
    fenced = {path for path in PAGES if "```python" in path.read_text(encoding="utf-8")}
    assert fenced
    assert all(any(block.language == "python" for block in blocks(path)) for path in fenced)


def test_a_page_that_is_wrong_fails(cache: Path, tmp_path: Path) -> None:
    def page(text: str) -> Path:
        path = tmp_path / "page.md"
        path.write_text(text)
        return path

    assert run_page(page("# Title\n\n```python\nx = 1\n```\n\n```python\nassert x == 1\n```\n"), tmp_path) == 2
    assert run_page(page("```console\n$ make demo\n$ pip install x\n0.1\n```\n\n```toml\n[x]\n```\n"), tmp_path) == 0
    with pytest.raises(NameError):
        run_page(page("```python\nunknown_name\n```\n"), tmp_path)
    with pytest.raises(AssertionError, match="no-such-option"):
        run_page(page("```console\n$ pennyweight names --no-such-option  # a comment\n```\n"), tmp_path)


@pytest.mark.parametrize(
    "link",
    [
        (page, found)
        for page in (ROOT / "README.md", *PAGES)
        for found in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    ],
    ids=lambda link: f"{link[0].name}:{link[1]}",
)
def test_links_lead_to_files(link: tuple[Path, str]) -> None:
    page, target = link
    assert (page.parent / target).exists()


def test_files_named_in_the_decisions_exist() -> None:
    """A renamed module would leave the pages that explain it behind."""
    named = re.compile(r"`((?:[a-z_0-9]+/)+[a-z_0-9]+\.(?:py|md|json))`")
    pages = [ROOT / "CONTRIBUTING.md", *PAGES]
    found = {(page.name, path) for page in pages for path in named.findall(page.read_text(encoding="utf-8"))}
    assert len(found) > 5
    assert [(page, path) for page, path in sorted(found) if not any((top / path).exists() for top in PLACES)] == []


@pytest.mark.slow
def test_the_example_draws_digits(tmp_path: Path) -> None:
    shell(["python", "examples/digit_files.py", "made"], tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["made"]
    pictures = sorted((tmp_path / "made").iterdir())
    assert len(pictures) >= 5
