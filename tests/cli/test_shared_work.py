"""`evaluate` and `predict` under torchrun: the ranks share the pictures; rank 0 answers as one process does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import pennyweight as pw
from pennyweight.verbs.strangers import measure_strangers

pytestmark = pytest.mark.slow

COUNTED = """
import os, sys
from pathlib import Path
from pennyweight.cli import main
from pennyweight.runtime import Classifier

probabilities = Classifier.probabilities


def counted(self, pixels, *arguments, **options):
    with Path(os.environ["COUNTS"], os.environ["RANK"]).open("a") as file:
        print(len(pixels), file=file)
    return probabilities(self, pixels, *arguments, **options)


Classifier.probabilities = counted
sys.exit(main())
"""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shared")
    run = pw.fit(
        "digits", "mobilenet_v1_x0_25", input_size=16, recipe={"epochs": 1}, out=folder / "run", progress=False
    )
    return run.folder


def together(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    (folder / "counts").mkdir()
    (folder / "program.py").write_text(COUNTED)
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", folder / "program.py")
    return subprocess.run(
        [sys.executable, *map(str, (*launcher, *arguments))],
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "COUNTS": str(folder / "counts")},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_evaluate_shares_the_pictures(bundle: Path, tmp_path: Path, draw_folder: object) -> None:
    folder = draw_folder({"a": 3, "b": 2}, side=16)  # type: ignore[operator]
    alone = pw.evaluate(bundle).to_dict() | {"strangers": measure_strangers(bundle, folder).to_dict()}
    done = together(tmp_path, "evaluate", bundle, "--json", "--strangers", folder)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == json.loads(json.dumps(alone))
    counts = [sum(map(int, (tmp_path / "counts" / rank).read_text().split())) for rank in "01"]
    assert sum(counts) == alone["images"]
    assert abs(counts[0] - counts[1]) <= 1


def test_predict_answers_in_order_once(bundle: Path, tmp_path: Path, draw_folder: object) -> None:
    folder = draw_folder({"a": 90, "b": 70}, side=16)  # type: ignore[operator]
    (folder / "a" / "torn.png").write_bytes(b"torn")
    alone = [each.to_dict() for each in pw.predict(bundle, folder)]
    done = together(tmp_path, "predict", bundle, folder, "--jsonl")
    assert done.returncode == 1
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [each["source"] for each in answers] == [each["source"] for each in alone]
    assert [each.get("label") for each in answers] == [each.get("label") for each in alone]


def test_a_failure_of_one_rank_ends_all(bundle: Path, tmp_path: Path) -> None:
    done = together(tmp_path, "evaluate", bundle, tmp_path / "nowhere")
    assert done.returncode != 0
    assert "no source" in done.stderr
