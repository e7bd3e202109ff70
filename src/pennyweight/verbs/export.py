"""`export`: from a run to a bundle, proved equal."""

from __future__ import annotations

import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from pennyweight import data
from pennyweight.core.errors import BundleError, ImageError, SourceError
from pennyweight.core.images import Picture
from pennyweight.core.machine import versions
from pennyweight.core.manifest import Manifest
from pennyweight.core.preprocess import Preprocess
from pennyweight.core.run import Run
from pennyweight.deploy import export_bundle
from pennyweight.runtime import Bundle
from pennyweight.verbs.load import preprocess_of, restore
from pennyweight.verbs.weigh import weigh

__all__ = ["export"]

PROOF_PICTURES = 64


def export(run: str | os.PathLike[str] | Run, out: str | os.PathLike[str] | None = None) -> Bundle:
    """Write a run's network as one ONNX file that describes itself; by default the run's model.onnx.

    The file appears only after it answered as the network does on up to 64 picture files of the test split
    (without them, on pictures made for the proof): probabilities within 1e-4, equal answers.
    Raises ParityError when it does not, BundleError when `out` exists already.
    """
    run = run if isinstance(run, Run) else Run(Path(run))
    path = run.bundle_path if out is None else Path(out)
    if out is not None and path.exists():
        raise BundleError(f"--out {path} exists already; nothing is overwritten: name a file that is not there yet")
    if not path.absolute().parent.is_dir():
        raise BundleError(f"cannot write {path}: there is no folder {path.absolute().parent}")
    record, evaluation = run.record, run.evaluation
    preprocess = preprocess_of(run)
    network = restore(run)
    cost = weigh(network, (preprocess.channels, preprocess.size, preprocess.size))
    manifest = Manifest(
        network=record["model"],
        labels=tuple(run.labels),
        preprocess=preprocess,
        cost={"params": cost.params, "macs": cost.macs},
        evaluation={key: evaluation[key] for key in ("split", "images", "accuracy", "accuracy_interval")},
        parity={},
        data={
            "name": record["data"]["source"],
            "fingerprint": record["data"]["fingerprint"],
            "group_by": record["data"].get("group_by"),
        },
        versions=versions(),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    with tempfile.TemporaryDirectory() as folder:
        pictures = _test_pictures(run, preprocess, Path(folder))
        return export_bundle(network, path, manifest, pictures, of=f"test split of {record['data']['source']}")


def _test_pictures(run: Run, preprocess: Preprocess, folder: Path) -> list[Picture]:
    """Up to 64 files of the run's test split; none when its source is not here. Arrays are written to `folder`."""
    try:
        trained_on = run.record["data"]
        samples = data.split(data.open(trained_on["address"], group_by=trained_on.get("group_by"))).test
    except SourceError:
        return []
    chosen = samples[:: max(1, len(samples) // PROOF_PICTURES)][:PROOF_PICTURES]
    files: list[Picture] = []
    for number, sample in enumerate(chosen):
        picture = sample.read()
        try:
            preprocess(picture)
        except ImageError:
            continue  # left out of training and scoring too
        if isinstance(picture, np.ndarray):
            path = folder / f"{number:03d}.npy"
            np.save(path, picture)
            picture = path
        files.append(picture)
    return files
