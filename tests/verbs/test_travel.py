"""Classifiers of a run and of a bundle answer in other processes as they do alone, bit for bit."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import pennyweight as pw
from pennyweight.core import travel

PICTURES = list(np.random.default_rng(0).integers(0, 256, (4, 20, 24, 3), dtype=np.uint8))
Answers = list[pw.Prediction]
# Bound methods are pickled with their classifier, and other processes need no module of these tests.


def of_pool(method: str) -> Callable[[pw.Classifier], Sequence[Answers]]:
    def answers(classifier: pw.Classifier) -> Sequence[Answers]:
        with multiprocessing.get_context(method).Pool(2) as pool:
            return pool.map_async(classifier.predict, [PICTURES] * 3).get(timeout=120)

    return answers


def of_loader(method: str) -> Callable[[pw.Classifier], Sequence[Answers]]:
    def answers(classifier: pw.Classifier) -> Sequence[Answers]:
        how: dict[str, Any] = {"num_workers": 2, "multiprocessing_context": method, "timeout": 120}
        return list(torch.utils.data.DataLoader(PICTURES * 3, batch_size=4, collate_fn=classifier.predict, **how))  # type: ignore[arg-type]

    return answers


def of_joblib(classifier: pw.Classifier) -> Sequence[Answers]:
    joblib = pytest.importorskip("joblib")
    found: Sequence[Answers] = joblib.Parallel(2, timeout=120)(
        joblib.delayed(classifier.predict)(PICTURES) for _ in range(3)
    )
    return found


SURROUNDINGS: dict[str, Callable[[pw.Classifier], Sequence[Answers]]] = {
    **{method: of_pool(method) for method in multiprocessing.get_all_start_methods()},
    **{f"loader, {method}": of_loader(method) for method in ("fork", "spawn")},
    "joblib": of_joblib,
}


def answer(classifier: pw.Classifier) -> Answers:
    return classifier.predict(PICTURES)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("kind", ["run", "bundle"])
@pytest.mark.parametrize("surroundings", SURROUNDINGS)
def test_other_processes_answer_as_one_does_alone(
    surroundings: str, kind: str, trained: pw.Run, bundle: pw.Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", str(torch.get_num_threads()))  # on some machines the last bits follow threads
    classifier = pw.load(trained if kind == "run" else bundle)
    assert SURROUNDINGS[surroundings](classifier) == [answer(classifier)] * 3


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_fork_of_several_threads_measures_typicality(trained: pw.Run) -> None:
    program = f"""
import os, signal, sys, numpy as np, torch, pennyweight as pw
torch.set_num_threads(2)
(torch.ones(512, 512) @ torch.ones(512, 512)).exp()
classifier = pw.load({str(trained.folder)!r})
pictures = list(np.zeros((4, 20, 24, 3), np.uint8))
assert classifier.predict(pictures)[0].typical is not None
child = os.fork()
if child == 0:
    signal.alarm(20)
    os._exit(int(classifier.predict(pictures)[0].typical is None or len(classifier.embed(pictures)) != 4))
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_run_travels_as_its_folder(trained: pw.Run, tmp_path: Path) -> None:
    run = pw.Run(shutil.copytree(trained.folder, tmp_path / "run"))
    classifier = pw.load(run)
    packed = pickle.dumps(classifier)
    assert len(packed) < 3000
    assert answer(pickle.loads(packed)) == answer(classifier)
    assert pickle.loads(packed).engine is classifier.engine
    travel._kept.forget()
    assert answer(pickle.loads(packed)) == answer(classifier)
    os.utime(run.weights_path, (1, 1))  # another time, the same content
    travel._kept.forget()
    assert answer(pickle.loads(packed)) == answer(classifier)
    shutil.copy(trained.record_path, run.weights_path)
    with pytest.raises(pw.PennyweightError, match=r"weights\.safetensors has changed since the classifier was loaded"):
        pickle.loads(packed)


def test_a_network_without_a_file_travels_with_its_weights(trained: pw.Run) -> None:
    from pennyweight.deploy import TorchEngine
    from pennyweight.verbs.load import restore

    loaded = pw.load(trained)
    assert trained.typicality is not None
    training, held_out = trained.typicality
    engine = TorchEngine(restore(trained), loaded.preprocess, training=training)
    own = pw.Classifier(engine, loaded.labels, loaded.preprocess, held_out)
    assert answer(pickle.loads(pickle.dumps(own))) == answer(loaded)
