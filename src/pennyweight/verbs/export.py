"""`export`: a bundle of a run or of a published network, proved to answer as the network does."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any, Unpack

import onnx

from pennyweight import data, zoo
from pennyweight.core.errors import InputError
from pennyweight.core.machine import versions
from pennyweight.core.manifest import Manifest
from pennyweight.core.run import Run
from pennyweight.core.usage import Usage
from pennyweight.deploy import compare_graphs, export_bundle, export_graph, to_int8, to_tuned_int8
from pennyweight.runtime import Bundle
from pennyweight.verbs.bundle_contents import Contents, contents_of
from pennyweight.verbs.bundle_path import bundle_path
from pennyweight.verbs.int8_pictures import choose_int8_pictures
from pennyweight.verbs.load import open_trained
from pennyweight.verbs.proof_pictures import choose_proof_pictures
from pennyweight.verbs.prune_run import prune_run, require_drop, require_prunable
from pennyweight.verbs.scenes.scene_run import refuse_scene_run
from pennyweight.verbs.weigh import weigh

__all__ = ["export", "manifest_of", "open_exportable"]


def export(
    run_or_name: str | os.PathLike[str] | Run | zoo.Pretrained,
    out: str | os.PathLike[str] | None = None,
    *,
    weights: str | os.PathLike[str] | None = None,
    int8: bool = False,
    max_drop: float | None = None,
    calibrate: data.AnySource | None = None,
    tune: bool = False,
    prune: float | None = None,
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
        out: New file to write; by default the run's model.onnx, which is replaced, or NAME.onnx here. -pruned and -int8
            come before the ending.
        weights: Weights for a name, as `pw.load` takes them.
        int8: True quantizes the proved graph to int8, a quarter of the bytes. It is calibrated on training pictures and
            gated on validation pictures; layers that lose too much stay in float.
        max_drop: Largest drop of accuracy by int8 (by default 0.01) and by pruning (by default any), 0 to 1.
        calibrate: Source of the pictures to calibrate and gate on; by default the one of the run's training. Pictures
            with other classes than the network's gate by agreement with the float network.
        tune: True also fine-tunes the weights for int8 (quantization-aware training), and uses what answers better.
        prune: Share of the multiply-accumulates to save by structured pruning, above 0 and below 1. The run's network
            loses channels, is fine-tuned on the training pictures, scored again, and timed in turns with the whole one.
        proof: Source of the pictures for the proof, with or without labels; by default the one of the run's training.
        note: Callback that is given a line where the proof has no real pictures, and about pruning and int8.
        usage: Usage of the weights, as `pw.load` takes it: stem, input_size, config, mean, std, labels.

    Returns:
        The bundle, opened; `pw.load`, `pw.evaluate` and `pw.predict` take it.

    Raises:
        InputError: There is no such run or network, it is a bundle, of a scene, or cannot be pruned.
        RunError, BundleError: The run is damaged; `out` exists already, or its folder does not exist.
        ParityError: The file does not answer as the network does, or loses more than `max_drop`; nothing is written.
        Int8Error: A ParityError with the loss of each layer, where no int8 form stays within `max_drop`.
        SourceError: The pictures for int8, for pruning or of `proof` are not here, or too few.
        MissingPart: torch-pruning is not installed.
    """
    allowed = _allowed_drop(int8, prune, max_drop=max_drop, calibrate=calibrate, tune=tune or None)
    trained = open_exportable(run_or_name, weights, **usage)
    pruning = None if prune is None else require_prunable(trained, prune)
    form = "-pruned" * (pruning is not None) + "-int8" * int8
    path = bundle_path(trained if isinstance(trained, Run) else str(trained.model["name"]), out, form=form)
    contents = prune_run(*pruning, contents_of(trained), note, max_drop=max_drop) if pruning else contents_of(trained)
    quantize = _quantizer(trained, contents, calibrate, allowed, tune, note) if int8 else None
    pictures, of = choose_proof_pictures(trained, proof, note=note, **contents.for_proof)
    return export_bundle(
        contents.network, path, manifest_of(contents), pictures, of=of, training_digests=contents.training_digests,
        typicality=contents.typicality, quantize=quantize, measure=_timer(contents),
    )  # fmt: skip


def open_exportable(
    run_or_name: str | os.PathLike[str] | Run | zoo.Pretrained,
    weights: str | os.PathLike[str] | None,
    **usage: Unpack[Usage],
) -> Run | zoo.Pretrained:
    """Open a run of pictures, or a name with weights. Raises InputError for a bundle, or a run of a scene."""
    trained = open_trained(run_or_name, weights, **usage)
    if isinstance(trained, Bundle):
        raise InputError(f"{trained.path} is a bundle already; export takes a run, or a name with weights")
    if isinstance(trained, Run):
        refuse_scene_run(trained, "export")
    return trained


def manifest_of(contents: Contents) -> Manifest:
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
        pruning=contents.pruning,
    )


def _timer(contents: Contents) -> Callable[[onnx.ModelProto], dict[str, Any]] | None:
    """Return the function that times the graph of a pruned network in turns with that of the whole network."""
    whole, preprocess = contents.whole, contents.preprocess
    if whole is None:
        return None
    return lambda model: compare_graphs(model, before=export_graph(whole, preprocess).model, preprocess=preprocess)


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


def _allowed_drop(int8: bool, prune: object, *, max_drop: float | None, calibrate: object, tune: object) -> float:
    """Return the allowed drop. Raises InputError for one that is no share, or for settings without their form."""
    for name, value in (("calibrate", calibrate), ("tune", tune)):
        if value is not None and not int8:
            raise InputError(f"{name} belongs to int8; add int8 (--int8), or leave {name} out")
    if max_drop is not None and not int8 and prune is None:
        raise InputError(
            "max_drop belongs to int8 and prune; add int8 (--int8) or prune (--prune SHARE), or leave max_drop out"
        )
    return require_drop(max_drop)
