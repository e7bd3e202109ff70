"""What the counted columns mean, as every output says it."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["CONVENTIONS"]

CONVENTIONS: Mapping[str, str] = {
    "macs": "multiply-accumulates of convolutions, linear layers and matrix products; biases are not counted",
    "ops": "all arithmetic, a multiply-accumulate as two",
    "bytes_read": "what every operator reads, weights included",
    "bytes_written": "what every operator writes",
}
