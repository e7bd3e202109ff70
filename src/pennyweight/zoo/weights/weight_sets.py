"""Find a network's weights among all tensors of a file: wrappers, several sets, exponential moving averages.

A file is a tree of names: `state_dict_ema` → `module` → `stem.0.weight`. Here it is flat, with names joined by dots. So
a dictionary's key and a prefix added by a wrapper (`_orig_mod.`, `module.`, `model.`) look the same.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from pennyweight.core.errors import InputError, nearest
from pennyweight.nn.ends import ends
from pennyweight.nn.weights import storage_fault
from pennyweight.zoo.weights.checkpoint import Checkpoint
from pennyweight.zoo.weights.positions import KEYS as POSITIONS
from pennyweight.zoo.weights.translate import Match, match

__all__ = ["Chosen", "choose", "fitting", "require_part"]

AVERAGES = {"ema", "swa", "avg", "average", "averaged", "averages", "averager", "shadow", "polyak"}
"""Words in the name of a set that holds a moving average of weights."""
COUNTER = "n_averaged"
"""Tensor that torch's AveragedModel saves next to `module.`."""
SMALLEST_SHARE = 0.25
"""Smallest share of a file's tensors in a set of weights; a prefix with fewer is part of a network."""


class Chosen(NamedTuple):
    """Weights chosen for a network, or the nearest that a file has."""

    match: Match
    """Match with full names, as in the file."""
    path: str
    """Dotted path in the file; empty if the file holds only the weights."""
    received: int
    """Number of tensors there."""
    notes: tuple[str, ...]
    """Notes on the chosen set, its wrapper, and the tensors left out."""
    others: tuple[tuple[str, Match], ...] = ()
    """Path and match of the other sets if a moving average was chosen."""


class _Candidate(NamedTuple):
    path: str
    state: dict[str, Tensor]
    match: Match
    average: bool
    """True if its name says that it is a moving average."""
    other_shapes: int
    """Number of tensors with other shapes, apart from the head, the stem and the position grid."""

    @property
    def named(self) -> Match:
        """Match with the names that the tensors have in the file."""
        place = f"{self.path}." if self.path else ""
        return self.match._replace(names={key: f"{place}{name}" for key, name in self.match.names.items()})


def choose(model: nn.Module, checkpoint: Checkpoint) -> Chosen:
    """Choose the weights of `model`, which may be on the meta device, among the tensors of a file.

    Between weights and their moving average, the average is chosen, because published accuracy is the average's. If the
    checkpoint names a part, only that part counts. A result that does not fit is the nearest one.

    Raises InputError for several sets that fit unless one is the only average. It is also raised for a part that the
    file lacks and for tensors that are not plain numbers in memory.
    """
    fits, nearest_one = fitting(model, checkpoint)
    if not fits:
        return Chosen(nearest_one.match, nearest_one.path, len(nearest_one.state), ())
    averages = [one for one in fits if one.average]
    plain = [one for one in fits if not one.average]
    taken = _require_single(averages or plain, checkpoint)
    notes = []
    if taken.path and averages and plain:
        instead = " or ".join(f"{checkpoint.name}#{one.path}" for one in plain)
        notes.append(f"took the moving average of the weights, '{taken.path}'; {instead} takes the others")
    elif taken.path:
        notes.append(f"took the weights under '{taken.path}'")
    found = taken.named
    if found.missing:  # an average of parameters only
        kept = _require_single(plain, checkpoint)
        found = found._replace(
            found={**kept.match.found, **found.found}, names={**kept.named.names, **found.names}, missing=[]
        )
        notes.append(
            f"took the {len(taken.match.missing)} statistics of norms from '{kept.path}': the average has none"
        )
    places = tuple(f"{one.path}." if one.path else "" for one in fits)
    left_out = [key for key in checkpoint.state if not key.startswith(places) and _within(key, checkpoint.part)]
    if left_out:
        notes.append(f"left out {len(left_out)} other tensor{'s' * (len(left_out) > 1)}, first '{left_out[0]}'")
    if checkpoint.part is None:
        notes += [_left_out(place, tensors) for place, tensors in checkpoint.unnamed.items()]
    others = tuple((one.path, one.named) for one in plain if one is not taken)
    return Chosen(found, taken.path, len(taken.state), tuple(notes), others)


def _left_out(place: str, tensors: str) -> str:
    """Return a note on unnamed tensors that were left out; a moving average among them would have been preferred."""
    if not _is_average(place, {}):
        return f"left out '{place}', {tensors} without names"
    return (
        f"left out '{place}', by its name a moving average, because the {tensors} have no names: save its "
        "state_dict() where it was made"
    )


def fitting(model: nn.Module, checkpoint: Checkpoint) -> tuple[list[_Candidate], _Candidate]:
    """Return the sets that suit `model` best, if several equally well all of them, and the nearest one of all."""
    tried: list[_Candidate] = []
    fault = ""
    for path, state in _sets(checkpoint):
        found = next((f"'{key}' {why}" for key, tensor in state.items() if (why := storage_fault(tensor))), "")
        if found:
            fault = fault or found
            continue
        result = match(model, state, checkpoint.layout, name=checkpoint.name)
        tried.append(
            _Candidate(path, state, result, _is_average(path, checkpoint.state), len(_other_shapes(model, result)))
        )
        if result.fits and not path:
            break  # the names are the network's own, so there is no wrapper
    if not tried:
        raise InputError(f"{checkpoint.name} cannot be used: {fault}")
    fits = [one for one in tried if one.match.fits]
    if fits:
        best = min((len(one.match.headless), one.other_shapes) for one in fits)
        fits = [one for one in fits if (len(one.match.headless), one.other_shapes) == best]
        fits += [one for one in tried if one.average and _lacks_statistics_alone(one.match)]
    elif fault:
        raise InputError(f"{checkpoint.name} cannot be used: {fault}")
    return fits, min(tried, key=lambda one: len(one.match.missing))


def require_part(checkpoint: Checkpoint) -> None:
    """Raise InputError if the requested set is not in the file."""
    _sets(checkpoint)


def _sets(checkpoint: Checkpoint) -> list[tuple[str, dict[str, Tensor]]]:
    """Return all paths in a file that may hold weights, shortest first. Raises InputError for an unknown part."""
    state = checkpoint.state
    counts = Counter(key[: dot.end()] for key in state for dot in re.finditer(r"\.", key))
    prefixes = sorted((one for one, count in counts.items() if count >= SMALLEST_SHARE * len(state)), key=len)
    if checkpoint.part is not None:
        within = [one for one in prefixes if _within(one, checkpoint.part)]
        if not within:
            if checkpoint.part in checkpoint.unnamed:
                raise InputError(
                    f"{checkpoint.name}: {_left_out(checkpoint.part, checkpoint.unnamed[checkpoint.part])}"
                )
            known = [one[:-1] for one in prefixes]
            hint = nearest(checkpoint.part, known, otherwise=f"; there are {', '.join(known) or 'no sets'}")
            raise InputError(f"{checkpoint.name} has no set '{checkpoint.part}'{hint}")
        prefixes = within
    else:
        prefixes.insert(0, "")
    return [
        (prefix[:-1], {key.removeprefix(prefix): tensor for key, tensor in state.items() if key.startswith(prefix)})
        for prefix in prefixes
    ]


def _within(key: str, part: str | None) -> bool:
    """Return whether `key` lies in the requested part of a file."""
    return part is None or f".{part}." in f".{key}"


def _is_average(path: str, state: Mapping[str, Tensor]) -> bool:
    """Return whether a path is named like a moving average, or has an average's counter next to it."""
    words = re.findall(r"[a-z]+|[A-Z]+(?![a-z])|[A-Z][a-z]*", path)
    parent = path.rpartition(".")[0]
    counter = f"{parent}.{COUNTER}" if parent else COUNTER
    return any(word.lower() in AVERAGES for word in words) or (path.endswith("module") and counter in state)


def _lacks_statistics_alone(found: Match) -> bool:
    statistics = ("running_mean", "running_var")
    return bool(found.missing) and not found.odd and all(key.endswith(statistics) for key in found.missing)


def _require_single(sets: Sequence[_Candidate], checkpoint: Checkpoint) -> _Candidate:
    """Return the only set. Raises InputError if several differ, because nothing says which is meant."""
    first, *others = sets
    if any(not _same(first.state, other.state) for other in others):
        names = ", ".join(f"'{one.path}'" for one in sets)
        raise InputError(
            f"{checkpoint.name} holds {len(sets)} sets of weights that fit: {names}; choose one: "
            f"{checkpoint.name}#{first.path}"
        )
    return first


def _same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def _other_shapes(model: nn.Module, found: Match) -> list[str]:
    """Return the keys whose shapes differ and cannot be adapted."""
    own, (stems, heads, _) = model.state_dict(), ends(model)

    def fixed(key: str, shape: Sequence[int]) -> Sequence[int]:
        layer, _, last = key.rpartition(".")
        if layer in heads:
            return shape[1:]
        if layer in stems and last == "weight":
            return [*shape[:1], *shape[2:]]
        return shape[2:] if key in POSITIONS else shape

    return [key for key, tensor in found.found.items() if fixed(key, tensor.shape) != fixed(key, own[key].shape)]
