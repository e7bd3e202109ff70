"""Three equal forms of a ResNeXt block's paths: a sum, a concatenation, a grouped convolution.

Xie et al. 2016, arXiv:1611.05431, Fig. 3. All map (B, c_in, H, W) -> (B, c_out, H/stride, W/stride), the branch that a
residual block adds to its shortcut. The networks use the grouped form, which is the fastest. The others are for reading
and comparison.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from pennyweight.nn.blocks import ConvNormAct, Style

__all__ = ["ConcatenatedPaths", "Form", "GroupedPaths", "SummedPaths", "as_concatenated", "as_summed"]


@dataclass(frozen=True, kw_only=True)
class Form:
    """Sizes of all three forms: `paths` is the paper's cardinality C, `d` a path's width."""

    c_in: int
    c_out: int
    paths: int
    d: int
    stride: int = 1
    style: Style = field(default_factory=Style)


class GroupedPaths(nn.Sequential):
    """Form (c): 1×1 to paths·d channels, 3×3 in `paths` groups, 1×1. Fig. 3c.

    The layers and keys are those of `bottleneck`.
    """

    def __init__(self, form: Form) -> None:
        hidden, style = form.paths * form.d, form.style
        super().__init__(
            ConvNormAct(form.c_in, hidden, style=style),
            ConvNormAct(hidden, hidden, 3, stride=form.stride, groups=form.paths, style=style),
            ConvNormAct(hidden, form.c_out, act=False, style=style),
        )
        self.form = form


class ConcatenatedPaths(nn.Module):
    """Form (b): each path is 1×1 to d channels and 3×3; a 1×1 follows their concatenation. Fig. 3b."""

    def __init__(self, form: Form) -> None:
        super().__init__()
        self.paths = nn.ModuleList(_narrow(form) for _ in range(form.paths))
        self.expand = ConvNormAct(form.paths * form.d, form.c_out, act=False, style=form.style)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.expand(torch.cat([path(x) for path in self.paths], dim=1))
        return out


class SummedPaths(nn.Module):
    """Form (a): each path is a whole bottleneck, 1×1 to d channels, 3×3, 1×1; the result is their sum. Fig. 3a.

    The last norm follows the sum (Sec. 4, footnote), because a norm in each path would see other statistics.
    """

    def __init__(self, form: Form) -> None:
        super().__init__()
        self.paths = nn.ModuleList(
            nn.Sequential(*_narrow(form), form.style.conv(form.d, form.c_out)) for _ in range(form.paths)
        )
        self.norm = form.style.norm(form.c_out)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.norm(torch.stack([path(x) for path in self.paths]).sum(dim=0))
        return out


def _narrow(form: Form) -> nn.Sequential:
    """Make the part of a path that (a) and (b) share. (B, c_in, H, W) -> (B, d, H/stride, W/stride)."""
    return nn.Sequential(
        ConvNormAct(form.c_in, form.d, style=form.style),
        ConvNormAct(form.d, form.d, 3, stride=form.stride, style=form.style),
    )


def as_concatenated(grouped: GroupedPaths) -> ConcatenatedPaths:
    """Convert form (c) to the equal form (b), with copies of the weights and statistics."""
    made = ConcatenatedPaths(grouped.form)
    for number, path in enumerate(made.paths):
        assert isinstance(path, nn.Sequential)
        _tie(path, grouped, number)
    made.expand.load_state_dict(grouped[2].state_dict())
    return made.train(grouped.training)


def as_summed(grouped: GroupedPaths) -> SummedPaths:
    """Convert form (c) to the equal form (a), with copies of the weights and statistics."""
    made = SummedPaths(grouped.form)
    expand, norm = grouped[2].children()
    for number, path in enumerate(made.paths):
        assert isinstance(path, nn.Sequential)
        _tie(path, grouped, number)
        # A path's last 1×1 is the joint 1×1's columns for its channels.
        path[2].load_state_dict({"weight": expand.get_parameter("weight")[:, _channels(grouped, number)]})
    made.norm.load_state_dict(norm.state_dict())
    return made.train(grouped.training)


def _tie(path: nn.Sequential, grouped: GroupedPaths, number: int) -> None:
    """Copy to a path its rows of the first 1×1 and of the grouped 3×3, with their norms."""
    rows = _channels(grouped, number)
    for layer in (0, 1):
        state = grouped[layer].state_dict()
        path[layer].load_state_dict({key: tensor[rows] if tensor.ndim else tensor for key, tensor in state.items()})


def _channels(grouped: GroupedPaths, number: int) -> slice:
    return slice(number * grouped.form.d, (number + 1) * grouped.form.d)
