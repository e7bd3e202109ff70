"""Make docs/demo.png: run the commands of `make demo` and show the terminal next to the report.

    python docs/demo_picture.py

It needs chromium on the path, and a minute for the training.
"""

import html
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[1]
WIDTH, HEIGHT = 1500, 740
STYLE = """
body { margin: 0; display: flex; gap: 16px; padding: 16px; height: 740px; box-sizing: border-box; background: #e8eaed; }
pre, iframe { margin: 0; border: 0; border-radius: 8px; }
pre { flex: 0 0 760px; padding: 16px; overflow: hidden; white-space: pre-wrap; background: #1c1f24; color: #d7dadd; }
pre { font: 12px/1.45 "DejaVu Sans Mono", monospace; }
b { color: #8fd19e; }
iframe { flex: 1; background: #fff; }
"""
# Without the table of facts and the links to sections, the curves move up to the headline.
COMPACT = "<style>nav, section:has(> #facts) { display: none } h2 { margin-top: 1rem } html { zoom: .8 }</style></head>"
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--hide-scrollbars")


def demo_commands() -> list[str]:
    """Return the commands of the Makefile's target `demo`, with the run in the folder make-demo."""
    recipe = (ROOT / "Makefile").read_text(encoding="utf-8").split("\ndemo: setup\n")[1].split("\n\n")[0]
    programs = [line.removeprefix("\t$(BIN)/") for line in recipe.splitlines() if line.startswith("\t$(BIN)/")]
    return [program.replace("$(DEMO)", "make-demo") for program in programs]


def run(command: str, folder: Path) -> list[str]:
    """Run a command of this environment in `folder` and return the lines that it printed, standard error included."""
    program, *arguments = command.split()
    arguments = [str(ROOT / a) if a.startswith("examples/") else a for a in arguments]
    done = subprocess.run(
        [Path(sys.executable).parent / program, *arguments],
        cwd=folder,
        env={**os.environ, "COLUMNS": "100"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
    )
    return done.stdout.rstrip().splitlines()


def shorten(lines: list[str]) -> list[str]:
    """Keep two epochs at each end."""
    epochs = [i for i, line in enumerate(lines) if re.match(r"epoch +\d", line)]
    return [*lines[: epochs[2]], "…", *lines[epochs[-2] :]] if len(epochs) > 5 else lines


with tempfile.TemporaryDirectory() as made:
    folder = Path(made)
    terminal = []
    for command in demo_commands():
        terminal += [f"<b>$ {html.escape(command)}</b>", *map(html.escape, shorten(run(command, folder)))]
    report = (folder / "make-demo" / "report.html").read_text(encoding="utf-8")
    (folder / "report.html").write_text(report.replace("</head>", COMPACT, 1), encoding="utf-8")
    body = "<pre>" + "\n".join(terminal) + "</pre><iframe src=report.html></iframe>"
    page = f"<!doctype html><meta charset=utf-8><style>{STYLE}</style>{body}"
    (folder / "page.html").write_text(page, encoding="utf-8")
    chromium = shutil.which("chromium") or shutil.which("google-chrome") or sys.exit("chromium is needed on the path")
    shot = folder / "shot.png"
    # Headless chromium keeps some of the window's height for itself, so it gets more and the picture is cropped.
    window = f"--window-size={WIDTH},{HEIGHT + 150}"
    subprocess.run(
        [chromium, *FLAGS, window, f"--screenshot={shot}", folder / "page.html"], capture_output=True, check=True
    )
    with Image.open(shot) as picture:
        small = picture.convert("RGB").crop((0, 0, WIDTH, HEIGHT)).quantize(128, dither=Image.Dither.NONE)
    small.save(ROOT / "docs" / "demo.png", optimize=True)
