"""`export`: a bundle of a run or of a published network, proved to answer as the network does."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Unpack

from torch import nn

from pennyweight import data, zoo
from pennyweight.core.errors import DownloadError, ImageError, InputError, RunError, SourceError
from pennyweight.core.images import Picture
from pennyweight.core.machine import versions
from pennyweight.core.manifest import Manifest
from pennyweight.core.offline import untrusted_address
from pennyweight.core.preprocess import Preprocess
from pennyweight.core.run import Run
from pennyweight.core.training_digests import TrainingDigests
from pennyweight.core.usage import Usage
from pennyweight.data.readers.shard_index import read_in_order
from pennyweight.deploy import export_bundle
from pennyweight.runtime import Bundle
from pennyweight.verbs.bundle_path import bundle_path
from pennyweight.verbs.load import open_trained, preprocess_of, restore
from pennyweight.verbs.scenes.scene_run import refuse_scene_run
from pennyweight.verbs.training_pictures import training_digests_of
from pennyweight.verbs.weigh import weigh

__all__ = ["export"]

PROOF_PICTURES = 64
SCORES = ("split", "images", "accuracy", "accuracy_interval")
"""Fields of evaluation.json that the bundle keeps."""
NEWER_SCORES = frozenset({"without_twins"})
"""Fields that it keeps too, which an earlier version did not write."""


def export(
    run_or_name: str | os.PathLike[str] | Run | zoo.Pretrained,
    out: str | os.PathLike[str] | None = None,
    *,
    weights: str | os.PathLike[str] | None = None,
    note: Callable[[str], None] = lambda line: None,
    **usage: Unpack[Usage],
) -> Bundle:
    """Write a network as one ONNX file that describes itself, proved to answer as the network does.

    The proof compares the answers to up to 64 picture files of the test split, or to pictures made for the proof where
    those are not here: probabilities within 1e-4, and the same label unless two labels are that close.

    Args:
        run_or_name: Folder that `pw.fit` made, its Run, or a network's name with `weights`.
        out: New file to write; by default the run's model.onnx, which is replaced, or NAME.onnx here.
        weights: Weights for a name, as `pw.load` takes them.
        note: Callback that is given a line where the proof has to do without pictures of the test split.
        usage: Usage of the weights, as `pw.load` takes it: stem, input_size, config, mean, std, labels.

    Returns:
        The bundle, opened; `pw.load`, `pw.evaluate` and `pw.predict` take it.

    Raises:
        InputError: There is no run or network of that name, it is a bundle already, or it was trained on a scene.
        RunError: The run is incomplete or damaged.
        BundleError: `out` exists already, or its folder does not exist.
        ParityError: The file does not answer as the network does; nothing is written.
    """
    trained = open_trained(run_or_name, weights, **usage)
    if isinstance(trained, Bundle):
        raise InputError(f"{trained.path} is a bundle already; export takes a run, or a name with weights")
    if isinstance(trained, Run):
        refuse_scene_run(trained, "export")
    path = bundle_path(trained if isinstance(trained, Run) else str(trained.model["name"]), out)
    contents = _of_run(trained) if isinstance(trained, Run) else _of_name(trained)
    preprocess = contents.preprocess
    cost = weigh(contents.network, (preprocess.channels, *preprocess.sides))
    manifest = Manifest(
        network=contents.model,
        labels=contents.labels,
        preprocess=preprocess,
        cost={"params": cost.params, "macs": cost.macs}
        | ({"uncounted": dict(cost.uncounted)} if cost.uncounted else {}),
        evaluation=contents.evaluation,
        parity={},
        data=contents.data,
        versions=versions(),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    pictures: list[Picture] = []
    if isinstance(trained, Run):
        pictures, missing = _test_pictures(trained)
        if missing:
            note(f"the bundle is proved on pictures made for the proof, because those of the test split are {missing}")
    of = f"test split of {contents.data['name']}" if contents.data else ""
    return export_bundle(contents.network, path, manifest, pictures, of=of, training_digests=contents.training_digests)


@dataclass(frozen=True, kw_only=True)
class Contents:
    """Contents of a bundle: a network, and the manifest's facts about it."""

    network: nn.Module
    model: dict[str, Any]
    labels: tuple[str, ...]
    preprocess: Preprocess
    evaluation: dict[str, Any] | None = None
    data: dict[str, Any] | None = None
    training_digests: TrainingDigests | None = None
    """Digests of the training pictures; None where they are not recorded."""


def _of_run(run: Run) -> Contents:
    record, evaluation = run.info, run.evaluation
    try:
        return Contents(
            network=restore(run),
            model=dict(record.model),
            labels=tuple(run.labels),
            preprocess=preprocess_of(run),
            evaluation={key: evaluation[key] for key in (*SCORES, *NEWER_SCORES & evaluation.keys())},
            data={
                "name": record.data.source,
                "fingerprint": record.data.fingerprint,
                "group_by": record.data.group_by,
                "twins": record.data.twins,
            },
            training_digests=run.training_digests,
        )
    except (KeyError, TypeError) as error:
        raise RunError(f"{run.folder} is not as `fit` wrote it: {type(error).__name__} {error}") from error


def _of_name(made: zoo.Pretrained) -> Contents:
    return Contents(
        network=made.network,
        model=made.model | {"weights": made.weights},
        labels=made.labels,
        preprocess=made.preprocess,
        data=None if made.data is None else dict(made.data),
        training_digests=next(iter(training_digests_of(made.origin).values()), None),
    )


def _test_pictures(run: Run) -> tuple[list[Picture], str]:
    """Return up to 64 files of the run's test split and an empty text; or none, and the reason."""
    known, preprocess = run.info.data, preprocess_of(run)
    try:
        with untrusted_address(run.folder, known.address, ask=f"evaluate {run.folder} {known.address}"):
            source = data.open(known.address, group_by=known.group_by, read_as=known.read_as)
    except (SourceError, ImageError, InputError, DownloadError) as error:
        return [], f"not at hand: {error}"
    if source.fingerprint != known.fingerprint:
        return [], f"not at hand: {known.address} has other pictures than in training"
    samples = data.split(source).test
    if run.training_digests is not None:  # twins may have been kept in one split
        samples = tuple(data.exclude_seen(samples, run.training_digests))
    # Reading one picture of a shard reads all before it.
    apart = 1 if source.streamed else max(1, len(samples) // PROOF_PICTURES)
    chosen = samples[::apart][:PROOF_PICTURES]
    files: list[Picture] = []
    for sample in read_in_order(chosen):
        picture = sample.read()
        try:
            preprocess(picture)
        except ImageError:
            continue  # training and scoring leave it out too
        files.append(picture)
    return files, "" if files else f"not readable: none of {len(chosen)} from {known.address}"
