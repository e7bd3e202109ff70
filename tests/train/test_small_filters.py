"""Responses of small filters tell textures and marks at the scale that shows them."""

import numpy as np
import pytest

from pennyweight.train.small_filters import filter_responses


def picture(height: int = 96, width: int = 96, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(100, 150, (height, width, channels), np.uint8)


@pytest.mark.parametrize(
    ("shape", "sides"),
    [((96, 96, 3), (96, 48, 24)), ((47, 200, 1), (47,)), ((8, 8, 3), (8,)), ((97, 130, 4), (97, 48, 24))],
    ids=str,
)
def test_each_halving_is_a_scale_until_its_shorter_side_is_small(
    shape: tuple[int, int, int], sides: tuple[int, ...]
) -> None:
    found = filter_responses(picture(*shape))
    assert tuple(found) == sides
    assert {values.shape for values in found.values()} == {(30 * shape[2],)}
    assert all(np.isfinite(values).all() for values in found.values())


def test_smaller_scales_are_those_of_the_halved_picture() -> None:
    blocks = np.repeat(np.repeat(picture(48, 48), 2, 0), 2, 1)
    np.testing.assert_allclose(
        filter_responses(blocks)[48], filter_responses(picture(48, 48))[48], rtol=1e-5, atol=1e-4
    )


def test_fine_stripes_show_at_the_full_scale_alone() -> None:
    flat = np.full((96, 96, 1), 128, np.uint8)
    striped = flat.copy()
    striped[:, ::2], striped[:, 1::2] = 118, 138
    plain, stripes = filter_responses(flat), filter_responses(striped)
    assert np.abs(stripes[96] - plain[96]).max() > 10
    np.testing.assert_array_equal(stripes[48], plain[48])


def test_a_single_mark_moves_the_extremes() -> None:
    marked = picture()
    marked[40, 40] = 0
    moved = np.abs(filter_responses(marked)[96] - filter_responses(picture())[96]).reshape(3, 6, 5)
    assert (moved[:, 1:, 3:].max(2) > 20).all()
    assert (moved[..., :3] < 1).all()
