"""`convert`: the files of a network for another engine than that of a bundle, with the same proof."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, Unpack, get_args

from pennyweight import data, zoo
from pennyweight.core.errors import BundleError, InputError, ParityError, nearest
from pennyweight.core.figures import megabytes
from pennyweight.core.files import write_text
from pennyweight.core.images import Picture
from pennyweight.core.manifest import Manifest
from pennyweight.core.run import Run
from pennyweight.core.summary import Facts, Summary
from pennyweight.core.usage import Usage
from pennyweight.deploy import (
    NcnnEngine,
    TorchEngine,
    compare_latency,
    exact_classifier,
    make_pictures,
    prove,
    require_ncnn,
    write_ncnn,
)
from pennyweight.runtime import Classifier
from pennyweight.verbs.bundle_contents import Contents, contents_of
from pennyweight.verbs.export import manifest_of, open_exportable
from pennyweight.verbs.proof_pictures import choose_proof_pictures
from pennyweight.verbs.prune_run import prune_run, require_drop, require_prunable

__all__ = ["Converted", "Target", "convert"]

Target = Literal["ncnn"]
MANIFEST = "manifest.json"


@dataclass(frozen=True, kw_only=True, repr=False)
class Converted(Summary):
    """Folder with the files of a network for another engine, and their manifest."""

    folder: Path
    to: str
    manifest: Manifest

    @property
    def bytes(self) -> int:
        """Return the size of the files."""
        return sum(path.stat().st_size for path in self.folder.iterdir())

    def _facts(self) -> Facts:
        yield "folder", str(self.folder)
        yield "for", self.to
        yield "size", megabytes(self.bytes)
        yield from self.manifest._facts()


def convert(
    run_or_name: str | os.PathLike[str] | Run | zoo.Pretrained,
    out: str | os.PathLike[str] | None = None,
    *,
    to: Target = "ncnn",
    weights: str | os.PathLike[str] | None = None,
    prune: float | None = None,
    max_drop: float | None = None,
    proof: data.AnySource | None = None,
    note: Callable[[str], None] = lambda line: None,
    **usage: Unpack[Usage],
) -> Converted:
    """Write a network as the files of another engine, proved to answer as the network does.

    The proof is that of `pw.export`: 64 picture files, and probabilities within 1e-4, or within the
    rounding of float32. The engine computes in float32 for the proof.

    Args:
        run_or_name: Folder that `pw.fit` made, its Run, or a network's name with `weights`.
        out: New folder to write; by default model-ncnn in the run, or NAME-ncnn here.
        to: Engine: "ncnn", for phones and small boards.
        weights: Weights for a name, as `pw.load` takes them.
        prune: Share of the multiply-accumulates to save by structured pruning, as `pw.export` takes it.
        max_drop: Largest drop of the validation accuracy by pruning, 0 to 1; by default any.
        proof: Source of the pictures for the proof, with or without labels; by default the one of the run's training.
        note: Callback that is given a line where the proof has no real pictures, and about pruning.
        usage: Usage of the weights, as `pw.load` takes it: stem, input_size, config, mean, std, labels.

    Returns:
        The folder, with the two files of the engine and manifest.json.

    Raises:
        InputError: There is no such run, network or engine, the engine lacks an operator, or it cannot be pruned.
        RunError, BundleError: The run is damaged; `out` exists already, or its folder does not exist.
        ParityError: The files do not answer as the network does, or lose more than `max_drop`; nothing is written.
        SourceError: The pictures of `proof`, or those for pruning, are not here.
        MissingPart: The engine, its converter or torch-pruning is not installed.
    """
    if to not in get_args(Target):
        raise InputError(f"unknown engine '{to}'{nearest(str(to), get_args(Target), otherwise='; there is ncnn')}")
    _require_drop(max_drop, prune)
    require_ncnn()
    trained = open_exportable(run_or_name, weights, **usage)
    pruning = None if prune is None else require_prunable(trained, prune)
    folder = _folder(trained, out, to)
    contents = prune_run(*pruning, contents_of(trained), note, max_drop=max_drop) if pruning else contents_of(trained)
    pictures, of = choose_proof_pictures(trained, proof, note=note, **contents.for_proof)
    if not pictures:
        pictures, of = make_pictures(contents.preprocess.channels), "pictures made for the proof"
    if contents.typicality is not None:
        note(f"files for {to} do not say how typical a picture is; export writes a bundle that does")
    manifest = manifest_of(contents)
    with _whole_folder(folder) as scratch:
        write_ncnn(contents.network.eval(), contents.preprocess, scratch)
        expected, received = _classifiers(contents, scratch)
        parity = _prove(contents, expected, received, pictures, of)
        manifest = replace(manifest, parity=parity, pruning=_timed(contents, scratch))
        write_text(scratch / MANIFEST, manifest.to_json())
    return Converted(folder=folder, to=to, manifest=manifest)


def _prove(
    contents: Contents, expected: Classifier, received: Classifier, pictures: Sequence[Picture], of: str
) -> dict[str, Any]:
    """Return the proof that both answer alike. Raises ParityError where they do not."""
    exact = partial(exact_classifier, contents.network, expected.labels, expected.preprocess)
    try:
        return prove(expected, received, pictures, of=of, exact=exact).to_dict()
    except ParityError as error:
        raise ParityError(f"{error}; nothing was written") from error


def _require_drop(max_drop: float | None, prune: float | None) -> None:
    """Raise InputError for an allowed drop that is no share, or without pruning."""
    if max_drop is not None and prune is None:
        raise InputError("max_drop belongs to prune; add prune (--prune SHARE), or leave max_drop out")
    require_drop(max_drop)


def _folder(trained: Run | zoo.Pretrained, out: str | os.PathLike[str] | None, to: str) -> Path:
    """Return the folder to write. Raises BundleError where it is there already, or where its own folder is not."""
    if out is not None:
        folder = Path(out)
    elif isinstance(trained, Run):
        folder = trained.folder / f"model-{to}"
    else:
        folder = Path(f"{str(trained.model['name']).replace(':', '-')}-{to}")
    if folder.exists():
        raise BundleError(f"{folder} exists already; nothing is overwritten: name a new folder with --out")
    if not folder.absolute().parent.is_dir():
        raise BundleError(f"cannot write {folder}: there is no folder {folder.absolute().parent}")
    return folder


@contextmanager
def _whole_folder(folder: Path) -> Iterator[Path]:
    """Give an empty folder, which gets the name `folder` at the end, unless an error comes."""
    with TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.absolute().parent) as scratch:
        inside = Path(scratch, "whole")
        inside.mkdir()
        yield inside
        inside.rename(folder)


def _timed(contents: Contents, folder: Path) -> dict[str, Any] | None:
    """Return the record of a pruned network with the milliseconds of its files and of those of the whole network."""
    if contents.whole is None or contents.pruning is None:
        return None
    with TemporaryDirectory() as scratch:
        write_ncnn(contents.whole, contents.preprocess, Path(scratch))
        latency = compare_latency(NcnnEngine(Path(scratch)), NcnnEngine(folder), contents.preprocess)
    return {**contents.pruning, "latency": latency}


def _classifiers(contents: Contents, folder: Path) -> tuple[Classifier, Classifier]:
    """Return the network and its converted files as classifiers."""
    preprocess, labels = contents.preprocess, contents.labels
    theirs = Classifier(TorchEngine(contents.network, preprocess), labels, preprocess)
    return theirs, Classifier(NcnnEngine(folder), labels, preprocess)
