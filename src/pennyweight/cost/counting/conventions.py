"""Definitions of the counted columns, printed with every output."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["CONVENTIONS"]

CONVENTIONS: Mapping[str, str] = {
    "macs": "multiply-accumulates of convolutions, linear layers and matrix products; biases are not counted",
    "ops": "all arithmetic; a multiply-accumulate counts as two",
    "bytes_read": "bytes that all operators read, weights included",
    "bytes_written": "bytes that all operators write",
}
