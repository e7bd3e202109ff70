"""A real Jupyter kernel: a cell with `fit` is interrupted, saves, says how to continue, and runs again."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import pennyweight as pw

pytestmark = pytest.mark.slow
SECONDS = 240
FIT = """
run = pw.fit(
    "pictures", "mobilenet_v1_x0_25", out="run", input_size=16, config={{"stages": [[32, 1, 1], [64, 1, 2]]}},
    recipe={{"epochs": {epochs}, "batch": 4}}, augment="keep", {more}
)
"""


class Cell:
    """Output of a cell as a notebook shows it: displays in their last form, text, and an error."""

    def __init__(self) -> None:
        self.displays: dict[str, Mapping[str, str]] = {}
        self.printed = ""
        self.error: Mapping[str, Any] | None = None
        self.bars_seen = 0

    def take(self, message: Mapping[str, Any]) -> bool:
        """Take a message of the kernel; return True for the last one."""
        kind, content = message["msg_type"], message["content"]
        if kind in ("display_data", "update_display_data"):
            key = content.get("transient", {}).get("display_id", str(len(self.displays)))
            self.displays[key] = content["data"]
            self.bars_seen += "<progress" in content["data"].get("text/html", "")
        elif kind == "stream":
            self.printed += content["text"]
        elif kind == "error":
            self.error = content
        return kind == "status" and content["execution_state"] == "idle"

    @property
    def text(self) -> str:
        """Return what a person reads: rich's lines are displays, too."""
        return self.printed + "".join(shown.get("text/plain", "") for shown in self.displays.values())

    @property
    def bars(self) -> int:
        """Return the number of bars that are shown."""
        return sum(shown.get("text/html", "").count("<progress") for shown in self.displays.values())


class Notebook:
    """Notebook with a kernel of its own."""

    def __init__(self, manager: Any, client: Any) -> None:
        self.manager, self.client = manager, client

    def run(self, code: str, interrupt_when: Callable[[Cell], bool] = lambda cell: False) -> Cell:
        """Run a cell to its end; interrupt it once, as the notebook's stop button does."""
        cell, sent, deadline = Cell(), False, time.monotonic() + SECONDS
        number = self.client.execute(code)
        while time.monotonic() < deadline:
            message = self.client.get_iopub_msg(timeout=SECONDS)
            if message["parent_header"].get("msg_id") == number and cell.take(message):
                return cell
            if not sent and interrupt_when(cell):
                self.manager.interrupt_kernel()
                sent = True
        raise TimeoutError(f"the cell did not end within {SECONDS} s: {cell.text}")


@pytest.fixture(scope="module")
def notebook(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Notebook]:
    pytest.importorskip("ipykernel", reason="ipykernel is not installed")
    manager_of = pytest.importorskip("jupyter_client.manager", reason="jupyter_client is not installed")
    folder = tmp_path_factory.mktemp("notebook")
    draw = np.random.default_rng(0)
    for name, level in (("bright", 190), ("dark", 60)):
        (folder / "pictures" / name).mkdir(parents=True)
        for number in range(60):
            pixels = np.clip(draw.normal(level, 40, (16, 16, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / "pictures" / name / f"{number}.png")
    source = str(Path(pw.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": source, "JUPYTER_RUNTIME_DIR": str(folder / "runtime")}
    manager, client = manager_of.start_new_kernel(cwd=str(folder), env=environment)
    try:
        yield Notebook(manager, client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def training(cell: Cell) -> bool:
    """Return True from the second epoch on; a quick training redraws less than once an epoch."""
    return any(re.match(r"epoch +([2-9]|\d\d+)/", shown.get("text/plain", "")) for shown in cell.displays.values())


def test_an_interrupted_cell_is_continued(notebook: Notebook) -> None:
    assert notebook.run("import pennyweight as pw").error is None
    stopped = notebook.run(FIT.format(epochs=200, more=""), training)
    assert stopped.error is not None
    assert stopped.error["ename"] == "KeyboardInterrupt"
    assert stopped.bars_seen > 2
    assert stopped.bars == 0
    assert "stopped in epoch " in stopped.text
    assert "resume=True" in stopped.text
    assert "Warning" not in stopped.text
    asked = notebook.run("print(pw.Run('run'))")  # the kernel answers
    assert asked.error is None
    assert "training has not finished" in asked.text
    again = notebook.run(FIT.format(epochs=200, more="resume=True"), training)
    assert again.error is not None
    assert "continues" in again.text
    assert again.bars == 0
    fresh = notebook.run(FIT.format(epochs=1, more="").replace('"run"', '"other"') + "run")
    assert fresh.error is None
    assert "accuracy" in notebook.run("print(run)").text


def test_a_cell_that_is_stopped_while_reading_leaves_nothing(notebook: Notebook) -> None:
    slow = """
import time
class Slow:
    classes = ["a", "b"]
    def __len__(self): return 4000
    def __getitem__(self, number):
        time.sleep(0.01)
        import numpy as np
        return np.full((8, 8, 3), number % 251, np.uint8), number % 2
print("reading")
pw.fit(Slow(), "mobilenet_v1_x0_25", out="slow")
"""
    notebook.run("import pennyweight as pw")
    stopped = notebook.run(slow, lambda cell: "reading" in cell.text)
    assert stopped.error is not None
    assert stopped.error["ename"] == "KeyboardInterrupt"
    assert stopped.bars == 0
    assert "False" in notebook.run("import os; print(os.path.exists('slow'))").text
