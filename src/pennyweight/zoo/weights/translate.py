"""Match the tensors of other libraries with the parameters of a network, by name."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from itertools import accumulate
from typing import NamedTuple, get_args

from torch import Tensor, nn

from pennyweight.core.errors import InputError, nearest
from pennyweight.nn import Network
from pennyweight.nn.ends import ends
from pennyweight.zoo.weights.layouts import LAYOUTS, PENNYWEIGHT, Layout, Rules, whole

__all__ = ["Match", "match", "translate"]


class Match(NamedTuple):
    """Comparison of a state dict with a network: tensors found, and names without a partner."""

    layout: str | None
    """Layout of the keys; None if the keys are the network's own and it knows no other layout."""
    found: dict[str, Tensor]
    """Tensors by the network's names; missing parameters have no entry."""
    names: dict[str, str]
    """The network's name -> name in the state dict, for the tensors found."""
    missing: list[str]
    """Names that the state dict lacks."""
    odd: list[str]
    """Names in the state dict that the network does not use."""
    headless: list[str]
    """Names of the last layer if it is missing as a whole, as in the weights of a backbone."""
    expected: int
    """Number of tensors in the network."""

    @property
    def fits(self) -> bool:
        """True if every tensor has a partner, apart from the last layer of a backbone."""
        return not self.missing and not self.odd

    def misfit(self, received: int) -> str:
        """Describe the names without partners, for an error message about a state dict of `received` tensors."""
        missing = self.missing + self.headless
        first = f"first missing '{missing[0]}'" if missing else f"first odd '{self.odd[0]}'"
        form = f", or those of an earlier form of this one: in the layout of {self.layout}, " if self.layout else ": "
        return (
            f"another network's weights{form}{len(missing)} of {self.expected} keys are missing and {len(self.odd)} of "
            f"{received} are odd, {first}"
        )


def match(model: nn.Module, state: Mapping[str, Tensor], layout: Layout = "auto", *, name: str) -> Match:
    """Match `state`, whose keys have a `layout`, with `model`, which may be on the meta device.

    "auto" chooses the layout with the fewest mismatches. Our networks know the layouts of other libraries; any other
    module knows only its own names. Batch counters may be missing, and so may the whole last layer. Shapes are not
    compared, because another number of classes or channels can be adapted. Raises InputError for a layout that the
    network lacks.
    """
    known: dict[str, tuple[Rules, str | None]] = {"pennyweight": (PENNYWEIGHT, None)}
    if isinstance(model, Network):
        known = {key: (rules, key) for key, rules in {"pennyweight": PENNYWEIGHT, **_layouts_of(model)}.items()}
        if layout != "auto" and layout not in known:
            hint = f"; there are auto, {', '.join(known)}"
            if layout not in get_args(Layout):
                hint = nearest(layout, known, otherwise=hint)
            raise InputError(f"{name}: {type(model).__name__} has no layout '{layout}'{hint}")
    tried = known.values() if layout not in known else [known[layout]]
    matches = [_match(model, state, rules, known_as) for rules, known_as in tried]
    return min(matches, key=lambda one: len(one.missing) + len(one.odd) + len(one.headless))


def translate(
    network: Network, state: Mapping[str, Tensor], layout: Layout = "auto", *, name: str = "the state dict"
) -> dict[str, Tensor]:
    """Return `state`, whose keys have a `layout`, under our keys; "auto" is the layout that fits best.

    Missing batch counters are filled from the network. Tensors must have as many dimensions as ours; sizes are not
    compared. Raises InputError for a layout that the network lacks, and for another network's weights, with the number
    of differing keys and the first one.
    """
    best = match(network, state, layout, name=name)
    if not best.fits or best.headless:
        raise InputError(f"{name} holds {best.misfit(len(state))}")
    return best.found


def _layouts_of(network: Network) -> Mapping[str, Rules]:
    return LAYOUTS.get(type(network), {})


def _match(model: nn.Module, state: Mapping[str, Tensor], rules: Rules, layout: str | None) -> Match:
    own, heads = model.state_dict(), tuple(f"{name}." for name in ends(model).heads)
    removed = [f"{name}.{last}" for name in ends(model).removed for last in ("weight", "bias")]
    found: dict[str, Tensor] = {}
    names: dict[str, str] = {}
    missing: list[str] = []
    headless: list[str] = []
    used: set[str] = set()
    for key, theirs, part in _translated_names(model, own, rules, state):
        used.add(theirs)
        if theirs in state:
            tensor = part(state[theirs])
            # Another library's module may adapt shapes in its own way.
            if layout is None or tensor.ndim == own[key].ndim:
                found[key], names[key] = tensor, theirs
                continue
        elif key.endswith(".num_batches_tracked"):
            found[key], names[key] = own[key], theirs
            continue
        elif key.startswith(heads):
            headless.append(theirs)
            continue
        missing.append(theirs)
    if any(key.startswith(heads) for key in found):  # a head with some tensors is not a backbone's missing head
        missing, headless = missing + headless, []
    used.update(theirs for _, theirs, _ in _translated_names(model, removed, rules, state))
    odd = [key for key in state if key not in used]
    return Match(layout, found, names, missing, odd, headless, len(own))


def _translated_names(
    model: nn.Module, own: Iterable[str], rules: Rules, state: Mapping[str, Tensor]
) -> Iterator[tuple[str, str, Callable[[Tensor], Tensor]]]:
    """Yield each of our keys, its name in `state`, and the function that takes its part of that tensor."""
    if not isinstance(model, Network) or rules is PENNYWEIGHT:
        yield from ((key, key, whole) for key in own)
        return
    starts = list(accumulate((len(list(stage.children())) for stage in model.trunk), initial=0))
    counts = {"stages+1": len(model.trunk) + 1, "blocks+1": starts[-1] + 1}
    for key in own:
        yield key, *_translate_key(key, rules, counts | _trunk_position(key, starts, stem=model.stem), state)


def _trunk_position(key: str, starts: list[int], *, stem: nn.Module) -> dict[str, int]:
    """Return a key's position in the trunk, in the variables that rules use."""
    place = re.match(r"trunk\.(\d+)\.(\d+)\.", key)
    if place is None:
        return {}
    s, b = int(place[1]), int(place[2])
    n = starts[s] + b
    stem_layers = len(list(stem.children()))
    return {"s": s, "s+1": s + 1, "s+2": s + 2, "b": b, "n": n, "n+1": n + 1, "n+stem": n + stem_layers}


@cache
def _pattern(ours: str) -> re.Pattern[str]:
    """Return the expression for the start of our keys, in which * is a number."""
    return re.compile(re.escape(ours).replace(r"\*", r"\d+"))


def _translate_key(
    key: str, rules: Rules, places: Mapping[str, int], state: Mapping[str, Tensor]
) -> tuple[str, Callable[[Tensor], Tensor]]:
    """Return their key for one of ours, and the function for its part of the tensor; our key if they have none."""
    for rule in rules:
        start = _pattern(rule.ours).match(key)
        if start is not None:
            rest = key[start.end() :]
            names = [form.format_map(places) + rest for form in (rule.theirs, rule.older) if form is not None]
            return next((name for name in names if name in state), names[0]), rule.part
    return key, whole
