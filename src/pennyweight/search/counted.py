"""Costs of candidates, counted on tensors without values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from torch import nn

from pennyweight import zoo
from pennyweight.core.errors import InputError
from pennyweight.cost import Cost, count
from pennyweight.search.space import Candidate
from pennyweight.search.work import work_of

__all__ = ["Counted", "count_candidate", "count_candidates", "make"]

NORMS = ("BatchNorm1d", "BatchNorm2d")
"""Layers that the exporter folds into a convolution: of their two values a channel, one is left."""
FLOAT_BYTES, INT8_BYTES = 4, 1
SCALE_BYTES = 5
"""Bytes of the scale and zero point of an int8 layer's output channel."""
NODE_BYTES = {FLOAT_BYTES: 150, INT8_BYTES: 900}
"""Bytes of an operator's description in the file, in float and with its pairs of quantization."""


class Counted(NamedTuple):
    """Candidate with what was counted of it, for one picture."""

    candidate: Candidate
    params: int
    macs: int
    weight_bytes: int
    """Bytes of the weights in float32."""
    activation_bytes: int
    """Peak of the activations that live at the same time, in float32."""
    float_file_bytes: int
    """Estimated size of the bundle in float32."""
    int8_file_bytes: int
    work: Mapping[str, float]
    """Quantities that the engine's time is predicted from."""
    published_params: int
    """Parameters with the head that networks are published with, for the classes of ImageNet."""
    published_macs: int

    def values(self, *, int8: bool) -> dict[str, float]:
        """Return the values that a budget limits, but for milliseconds and accuracy."""
        size = self.int8_file_bytes if int8 else self.float_file_bytes
        weights = self.weight_bytes // FLOAT_BYTES if int8 else self.weight_bytes
        return {
            "params": self.params,
            "macs": self.macs,
            "size_bytes": size,
            "memory_bytes": weights + (self.activation_bytes // FLOAT_BYTES if int8 else self.activation_bytes),
        }


def make(candidate: Candidate, classes: int | None) -> nn.Module:
    """Make a candidate's network with fresh weights. Raises InputError where the network refuses its fields."""
    return zoo.build(candidate.network, **_arguments(candidate, classes)).eval()


def _arguments(candidate: Candidate, classes: int | None) -> dict[str, Any]:
    config = zoo.settle(candidate.network, candidate.config, size=candidate.size)
    return {"num_classes": classes, "in_channels": None, "stem": candidate.stem, "config": config}


def count_candidate(candidate: Candidate, classes: int | None = None) -> Counted:
    """Count a candidate with a head for `classes`; None for the published head.

    Raises:
        InputError: The network refuses the fields or the input size.
    """
    network = zoo.sketch(candidate.network, **_arguments(candidate, classes))  # one for all sizes of the input
    cost = count(network, (3, candidate.size, candidate.size))
    usual = zoo.form(candidate.network).num_classes
    more = 0 if classes is None else usual - classes
    features = next(
        (layer.input_shape[-1] for layer in reversed(cost.layers) if layer.type == "Linear" and layer.input_shape), 0
    )
    return Counted(
        candidate=candidate,
        params=cost.params,
        macs=cost.macs,
        weight_bytes=cost.weight_bytes,
        activation_bytes=cost.peak_activation_bytes,
        float_file_bytes=_file_bytes(cost, FLOAT_BYTES),
        int8_file_bytes=_file_bytes(cost, INT8_BYTES),
        work=work_of(cost.operations),
        published_params=cost.params + more * (features + 1),
        published_macs=cost.macs + more * features,
    )


def _file_bytes(cost: Cost, of_weight: int) -> int:
    """Estimate the size of a bundle: weights without norms, biases, and a description of each operator."""
    biases = sum(layer.params // 2 for layer in cost.layers if layer.type in NORMS)
    weights = cost.params - 2 * biases
    scales = SCALE_BYTES * biases if of_weight == INT8_BYTES else 0
    return of_weight * weights + FLOAT_BYTES * biases + scales + NODE_BYTES[of_weight] * len(cost.operations)


def count_candidates(
    candidates: Iterable[Candidate], classes: int | None, advance: Callable[[int], None] = lambda count: None
) -> tuple[list[Counted], dict[str, str]]:
    """Count candidates.

    Returns:
        The counted candidates, and the error message of each refused candidate, by name.
    """
    found, refused = [], {}
    for candidate in candidates:
        try:
            found.append(count_candidate(candidate, classes))
        except InputError as error:
            refused[candidate.name] = str(error)
        advance(1)
    return found, refused
