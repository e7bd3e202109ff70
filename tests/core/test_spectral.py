"""Scaling and whitened components, against their definition."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pennyweight.core.errors import InputError
from pennyweight.core.spectral import Projection


def spectra(pixels: int = 200, bands: int = 12) -> np.ndarray:
    draw = np.random.default_rng(0)
    return (
        draw.normal(size=(pixels, 4)) @ draw.normal(size=(4, bands)) + 5 + draw.normal(0, 0.1, (pixels, bands))
    ) * 90


def test_components_are_white_and_in_order_of_variance() -> None:
    values = spectra()
    seen = Projection.fit(values, 6)(values)
    assert seen.shape == (200, 6)
    np.testing.assert_allclose(seen.T @ seen / 200, np.eye(6), atol=1e-3)
    scaled = (values - values.mean(0)) / values.std(0)
    variances = np.sort(np.linalg.eigvalsh(np.cov(scaled.T, bias=True)))[::-1]
    correlation = np.abs(scaled.T @ seen / 200)
    np.testing.assert_allclose((correlation**2).sum(0), variances[:6], rtol=1e-3)


def test_without_components_each_band_is_scaled() -> None:
    values = spectra()
    seen = Projection.fit(values, None)(values)
    np.testing.assert_allclose(seen.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(seen.std(0), 1, atol=1e-4)


def test_only_the_pixels_given_decide() -> None:
    values = spectra()
    assert not np.allclose(Projection.fit(values[:50], 3).matrix, Projection.fit(values, 3).matrix)


def test_pixels_without_numbers_become_the_mean() -> None:
    projection = Projection.fit(spectra(), 3)
    cube = np.ones((2, 2, 12), np.float32)
    cube[0, 1, 5], cube[1, 0, 0] = np.nan, np.inf
    seen = projection(cube)
    assert not seen[0, 1].any()
    assert not seen[1, 0].any()
    assert seen[0, 0].any()


def test_it_survives_json() -> None:
    projection = Projection.fit(spectra(), 3)
    again = Projection.from_dict(json.loads(json.dumps(projection.to_dict())))
    np.testing.assert_array_equal(again.matrix, projection.matrix)
    np.testing.assert_array_equal(again.mean, projection.mean)


def test_a_constant_band_and_a_component_without_variance_are_zero() -> None:
    values = spectra()
    values[:, 3] = 7
    values[:, 4] = values[:, 5]
    projection = Projection.fit(values, 12)
    assert np.isfinite(projection.matrix).all()
    assert not projection.matrix[3].any()
    assert not projection.matrix[:, -1].any()


def test_more_components_than_bands_or_pixels_are_refused() -> None:
    with pytest.raises(InputError, match="30 components cannot be made of 12 bands; take 1 to 12"):
        Projection.fit(spectra(), 30)
    with pytest.raises(InputError, match="cannot be fitted on 4 pixels; train on more, or take at most 3"):
        Projection.fit(spectra(4), 6)
