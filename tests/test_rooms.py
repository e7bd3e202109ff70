"""Rooms keep apart: the contracts of imports hold, and a wrong import is refused."""

import os
import re
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


LAYERS = "Imports point down; packages on one line do not import each other"
LIGHT = "core, runtime and serve load no torch"
NO_ZOO = "train, deploy and cost take any module, and do not import the zoo"
FAMILIES = "Families never import each other"
WRONG = [
    ("core/files.py", "import torch", LIGHT, "pennyweight.core.files -> torch"),
    ("serve/app.py", "import torch", LIGHT, "pennyweight.serve.app -> torch"),
    ("runtime/classifier.py", "from onnx import helper", LIGHT, "pennyweight.runtime.classifier -> onnx"),
    (
        "nn/blocks.py",
        "from pennyweight.verbs.load import load",
        LAYERS,
        "pennyweight.nn.blocks -> pennyweight.verbs.load",
    ),
    ("train/loop.py", "from pennyweight.deploy import prove", LAYERS, "pennyweight.train.loop -> pennyweight.deploy"),
    (
        "cost/counting/count.py",
        "import pennyweight.zoo",
        NO_ZOO,
        "pennyweight.cost.counting.count -> pennyweight.zoo",
    ),
    ("train/loop.py", "from pennyweight import zoo", NO_ZOO, "pennyweight.train.loop -> pennyweight.zoo"),
    (
        "deploy/parity.py",
        "from pennyweight.zoo import create",
        NO_ZOO,
        "pennyweight.deploy.parity -> pennyweight.zoo",
    ),
    (
        "zoo/mobilenet_v2.py",
        "from pennyweight.zoo.mobilenet_v1 import Config",
        FAMILIES,
        "pennyweight.zoo.mobilenet_v2 -> pennyweight.zoo.mobilenet_v1",
    ),
]


def test_imports_point_down(tmp_path: Path) -> None:
    done = lint_imports(tmp_path, [])
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The report on a copy with all of the wrong lines: what stands below the title of each broken contract."""
    done = lint_imports(tmp_path_factory.mktemp("broken"), [(name, line) for name, line, _, _ in WRONG])
    assert done.returncode == 1
    titles = re.split(r"^(.+)\n-+\n\n", done.stdout, flags=re.MULTILINE)
    return dict(zip(titles[1::2], titles[2::2], strict=True))


@pytest.mark.parametrize(("name", "line", "contract", "arrow"), WRONG)
def test_an_import_that_points_elsewhere_is_refused(
    refused: dict[str, str], name: str, line: str, contract: str, arrow: str
) -> None:
    assert f"{arrow} (l." in refused[contract]
