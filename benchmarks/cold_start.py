"""Time and memory from the start of a process to its first prediction of a JPEG file, with a bundle and without torch.

    python benchmarks/cold_start.py BUNDLE [--picture FILE] [--repeats 10]

Each form is a fresh process, in turns; the first round warms the disk's cache and is left out. Processor seconds are
those of the process, which other programs change least. Python may keep its compiled files, in a folder of the
benchmark, as an installed package does. Memory is the largest resident one.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console

from pennyweight.core.machine import machine_line
from pennyweight.report.tables import Column, table

REPORT = """
import time
from pennyweight.verbs.benching.fresh_process import peak_bytes
assert "torch" not in sys.modules
print(time.process_time(), peak_bytes(), file=sys.stderr)
"""
FORMS = {
    "Python alone": "import sys" + REPORT,
    "import numpy, PIL.Image, onnxruntime": "import sys, numpy, PIL.Image, onnxruntime" + REPORT,
    "pw.load, predict": "import sys, pennyweight as pw; pw.load(sys.argv[1]).predict(sys.argv[2])" + REPORT,
    "runtime.Bundle, predict": "import sys; from pennyweight.runtime import Bundle; "
    "Bundle(sys.argv[1]).classifier.predict(sys.argv[2])" + REPORT,
    "pennyweight predict --json": "import sys; from pennyweight.cli import main; "
    "main(['predict', *sys.argv[1:], '--json'])" + REPORT,
    "pennyweight predict": "import sys; from pennyweight.cli import main; main(['predict', *sys.argv[1:]])" + REPORT,
}


def once(code: str, bundle: str, picture: str, compiled: Path) -> tuple[float, float, float]:
    """Return seconds, processor seconds, and MiB of a fresh process."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(compiled)}
    began = time.perf_counter()
    command = [sys.executable, "-c", code, bundle, picture]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    seconds = time.perf_counter() - began
    processor, memory = done.stderr.split()[-2:]
    return seconds, float(processor), int(memory) / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle")
    parser.add_argument("--picture")
    parser.add_argument("--repeats", type=int, default=10)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        picture = asked.picture or str(Path(folder) / "photo.jpg")
        if asked.picture is None:
            coarse = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
            Image.fromarray(coarse).resize((640, 480), Image.Resampling.BICUBIC).save(picture)
        found: dict[str, list[tuple[float, float, float]]] = {form: [] for form in FORMS}
        for repeat in range(asked.repeats + 1):
            for form, code in FORMS.items():
                measured = once(code, asked.bundle, picture, Path(folder) / "compiled")
                if repeat:
                    found[form].append(measured)
    columns = [Column(title) for title in ("form", "shortest, s", "median, s", "processor, s", "memory, MiB")]
    rows = []
    for form, runs in found.items():
        seconds, processor, memory = zip(*runs, strict=True)
        rows.append((form, min(seconds), statistics.median(seconds), min(processor), max(memory)))
    Console(width=120).print(table(None, columns, rows))
    print(machine_line(), f"{asked.repeats} processes of each form", sep="; ")


if __name__ == "__main__":
    main()
