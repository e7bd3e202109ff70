"""A ViT's positions for another number of patches."""

from __future__ import annotations

import pytest
import torch

from pennyweight import zoo
from pennyweight.core.errors import InputError
from pennyweight.zoo.weights.load import AdaptedWeights, load_weights
from pennyweight.zoo.weights.positions import resample

SMALL = {"d": 24, "heads": 3, "hidden": 48, "blocks": 4}


@pytest.mark.peers
@pytest.mark.parametrize("side", [5, 7, 24])
@pytest.mark.parametrize("extra", [0, 1, 2])
def test_they_are_those_of_timm(side: int, extra: int) -> None:
    from timm.layers import resample_abs_pos_embed

    positions = torch.randn(1, extra + 14 * 14, 24)
    theirs = resample_abs_pos_embed(positions, [side, side], num_prefix_tokens=extra)
    assert torch.equal(resample(positions, side, extra=extra), theirs)


def test_what_is_alike_everywhere_stays_so() -> None:
    """Positions that rise evenly from left to right still do, away from the edges; the class token's is untouched."""
    rising = torch.arange(8.0).repeat(8, 1).reshape(1, 64, 1)
    found = resample(torch.cat([torch.full((1, 1, 1), 9.0), rising], dim=1), 16)
    assert found[0, 0, 0] == 9
    rows = found[0, 1:, 0].reshape(16, 16)
    torch.testing.assert_close(rows, rows[:1].expand(16, 16))
    steps = rows[0, 5:12].diff()
    torch.testing.assert_close(steps, torch.full_like(steps, 0.5))


def test_weights_fit_another_input_size_and_say_so() -> None:
    trained = zoo.create("vit_ti_16", size=64, **SMALL)
    with pytest.warns(AdaptedWeights, match="positions were interpolated, because 4×4 patches became 6×6"):
        network = load_weights(zoo.create("vit_ti_16", size=96, **SMALL), trained.state_dict())
    assert torch.equal(network.stem.positions, resample(trained.stem.positions, 6))
    assert network.eval()(torch.zeros(1, 3, 96, 96)).shape == (1, 1000)


def test_other_patches_are_another_network() -> None:
    trained = zoo.create("vit_ti_16", size=64, patch=8, **SMALL)
    with pytest.raises(InputError, match=r"weights of other shapes: 1 of \d+, first 'stem\.project\.weight'"):
        load_weights(zoo.create("vit_ti_16", size=64, **SMALL), trained.state_dict())
