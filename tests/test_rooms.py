"""Rooms keep apart: the contracts of imports hold, and a wrong import is refused."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def lint_imports(folder: Path, changes: Iterable[tuple[str, str]]) -> "subprocess.CompletedProcess[str]":
    """Check a copy of the source, with lines added to some of its files, by the contracts of pyproject.toml."""
    shutil.copytree(ROOT / "src" / "pennyweight", folder / "src" / "pennyweight")
    shutil.copy(ROOT / "pyproject.toml", folder)
    for name, line in changes:
        path = folder / "src" / "pennyweight" / name
        path.write_text(f"{path.read_text(encoding='utf-8')}\n{line}\n", encoding="utf-8")
    return subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder / "src"), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_imports_point_down(tmp_path: Path) -> None:
    done = lint_imports(tmp_path, [])
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


@pytest.mark.parametrize(
    ("name", "line", "contract"),
    [
        ("core/files.py", "import torch", "core, runtime and serve load no torch"),
        ("runtime/classifier.py", "from onnx import helper", "core, runtime and serve load no torch"),
        ("nn/blocks.py", "from pennyweight.verbs.load import load", "Imports point down"),
        ("train/loop.py", "from pennyweight.deploy import prove", "Imports point down"),
        ("cost/counting/count.py", "import pennyweight.zoo", "train, deploy and cost take any module"),
        ("train/loop.py", "from pennyweight import zoo", "train, deploy and cost take any module"),
        ("deploy/parity.py", "from pennyweight.zoo import create", "train, deploy and cost take any module"),
        ("zoo/mobilenet_v2.py", "from pennyweight.zoo.mobilenet_v1 import Config", "Families never import each other"),
    ],
)
def test_an_import_that_points_elsewhere_is_refused(tmp_path: Path, name: str, line: str, contract: str) -> None:
    done = lint_imports(tmp_path, [(name, line)])
    assert done.returncode == 1
    broken = [text for text in done.stdout.splitlines() if "BROKEN" in text]
    assert any(contract in text for text in broken), done.stdout
