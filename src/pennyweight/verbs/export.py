"""`export`: a bundle of a run or of a published network, proved to answer as the network does."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Unpack

import onnx
from torch import nn

from pennyweight import data, zoo
from pennyweight.core.errors import InputError, RunError
from pennyweight.core.machine import versions
from pennyweight.core.manifest import Manifest
from pennyweight.core.preprocess import Preprocess
from pennyweight.core.run import Run
from pennyweight.core.training_digests import TrainingDigests
from pennyweight.core.usage import Usage
from pennyweight.deploy import MAX_DROP, export_bundle, to_int8, to_tuned_int8
from pennyweight.runtime import Bundle
from pennyweight.verbs.bundle_path import bundle_path
from pennyweight.verbs.int8_pictures import choose_int8_pictures
from pennyweight.verbs.load import open_trained, preprocess_of, restore
from pennyweight.verbs.proof_pictures import choose_proof_pictures
from pennyweight.verbs.scenes.scene_run import refuse_scene_run
from pennyweight.verbs.training_pictures import training_digests_of
from pennyweight.verbs.weigh import weigh

__all__ = ["export"]

SCORES = ("split", "images", "accuracy", "accuracy_interval")
"""Fields of evaluation.json that the bundle keeps."""
NEWER_SCORES = ("effective_images", "without_twins", "unknown_twins", "folds")
"""Fields that it keeps too, which an earlier version did not write."""


def export(
    run_or_name: str | os.PathLike[str] | Run | zoo.Pretrained,
    out: str | os.PathLike[str] | None = None,
    *,
    weights: str | os.PathLike[str] | None = None,
    int8: bool = False,
    max_drop: float | None = None,
    calibrate: data.AnySource | None = None,
    tune: bool = False,
    proof: data.AnySource | None = None,
    note: Callable[[str], None] = lambda line: None,
    **usage: Unpack[Usage],
) -> Bundle:
    """Write a network as one ONNX file that describes itself, proved to answer as the network does.

    The proof compares the answers to 64 picture files: of the test split, of the other splits where that has fewer, or
    made for the proof where none are here. Probabilities must be within 1e-4, logits within 0.1% of their spread, and
    labels the same unless two labels are that close.

    Args:
        run_or_name: Folder that `pw.fit` made, its Run, or a network's name with `weights`.
        out: New file to write; by default the run's model.onnx, which is replaced, or NAME.onnx here; of int8
            model-int8.onnx or NAME-int8.onnx.
        weights: Weights for a name, as `pw.load` takes them.
        int8: True quantizes the proved graph to int8, a quarter of the bytes. It is calibrated on training pictures and
            gated on validation pictures; layers that lose too much stay in float.
        max_drop: Largest drop of accuracy that int8 may cost on the gate's pictures, 0 to 1; by default 0.01.
        calibrate: Source of the pictures to calibrate and gate on; by default the one of the run's training. Pictures
            with other classes than the network's gate by agreement with the float network.
        tune: True also fine-tunes the weights for int8 (quantization-aware training), and uses what answers better.
        proof: Source of the pictures for the proof, with or without labels; by default the one of the run's training.
        note: Callback that is given a line where the proof has no real pictures, and about int8.
        usage: Usage of the weights, as `pw.load` takes it: stem, input_size, config, mean, std, labels.

    Returns:
        The bundle, opened; `pw.load`, `pw.evaluate` and `pw.predict` take it.

    Raises:
        InputError: There is no run or network of that name, it is a bundle already, or it was trained on a scene.
        RunError, BundleError: The run is damaged; `out` exists already, or its folder does not exist.
        ParityError: The file does not answer as the network does; nothing is written.
        Int8Error: A ParityError with the loss of each layer, where no int8 form stays within `max_drop`.
        SourceError: The pictures for int8 or of `proof` are not here, or too few.
    """
    allowed = _allowed_drop(int8, max_drop=max_drop, calibrate=calibrate, tune=tune or None)
    trained = open_trained(run_or_name, weights, **usage)
    if isinstance(trained, Bundle):
        raise InputError(f"{trained.path} is a bundle already; export takes a run, or a name with weights")
    if isinstance(trained, Run):
        refuse_scene_run(trained, "export")
    path = bundle_path(trained if isinstance(trained, Run) else str(trained.model["name"]), out, int8=int8)
    contents = _of_run(trained) if isinstance(trained, Run) else _of_name(trained)
    quantize = _quantizer(trained, contents, calibrate, allowed, tune, note) if int8 else None
    pictures, of = choose_proof_pictures(
        trained, proof, preprocess=contents.preprocess, training_digests=contents.training_digests, note=note
    )
    return export_bundle(
        contents.network, path, _manifest(contents), pictures,
        of=of, training_digests=contents.training_digests, quantize=quantize,
    )  # fmt: skip


def _manifest(contents: Contents) -> Manifest:
    """Return the manifest of the float bundle, without its proof."""
    preprocess = contents.preprocess
    cost = weigh(contents.network, (preprocess.channels, *preprocess.sides))
    return Manifest(
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


def _quantizer(
    trained: Run | zoo.Pretrained,
    contents: Contents,
    calibrate: data.AnySource | None,
    max_drop: float,
    tune: bool,
    note: Callable[[str], None],
) -> Callable[[onnx.ModelProto], tuple[onnx.ModelProto, dict[str, Any]]]:
    """Read the pictures for int8, and return the function that quantizes the proved graph."""
    chosen = choose_int8_pictures(
        trained,
        calibrate,
        preprocess=contents.preprocess,
        labels=contents.labels,
        training_digests=contents.training_digests,
        max_drop=max_drop,
        tune=tune,
        note=note,
    )
    if not tune:
        return partial(to_int8, pictures=chosen, max_drop=max_drop, note=note)
    return partial(
        to_tuned_int8,
        network=contents.network,
        preprocess=contents.preprocess,
        pictures=chosen,
        max_drop=max_drop,
        note=note,
    )


def _allowed_drop(int8: bool, *, max_drop: float | None, calibrate: object, tune: object) -> float:
    """Return the allowed drop. Raises InputError for one that is no share, or for settings of int8 without it."""
    for name, value in (("max_drop", max_drop), ("calibrate", calibrate), ("tune", tune)):
        if value is not None and not int8:
            raise InputError(f"{name} belongs to int8; add int8 (--int8), or leave {name} out")
    allowed = MAX_DROP if max_drop is None else max_drop
    if isinstance(allowed, bool) or not isinstance(allowed, (int, float)) or not 0 <= allowed < 1:
        raise InputError(f"max_drop must be a share from 0 to below 1, such as 0.01, not {allowed!r}")
    return float(allowed)


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
            evaluation={key: evaluation[key] for key in (*SCORES, *(key for key in NEWER_SCORES if key in evaluation))},
            data={
                "name": record.data.source,
                "fingerprint": record.data.fingerprint,
                "group_by": record.data.group_by,
                "twins": record.data.twins,
                **({} if record.data.folds is None else {"folds": record.data.folds}),
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
