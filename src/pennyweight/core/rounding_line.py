"""Phrase about rounding in a parity proof, from the `parity` of a bundle's manifest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["float_rounding"]


def float_rounding(parity: Mapping[str, Any]) -> str:
    """Return a phrase with both distances from float64; empty where the differences are within 1e-4."""
    rounding = parity.get("rounding")
    if rounding is None:
        return ""
    return (
        f", which is rounding: the network in float32 stands {rounding['network_probability']:.1e} from itself in "
        f"float64, and the file {rounding['bundle_probability']:.1e}"
    )
