"""Splits of known sets stay the same to the byte, from version to version."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from pennyweight import data

DIGESTS = {
    "digits": "44a965dfa33c7f3f6b9d0c639955efd5e9861d46930198fd74a22ddb6af7e4b8",
    "cats-dogs": "2bac34cd6a6d6feac58f0768e48de93070ead4799ef445a0c2e4b76176500807",
    "cifar10-jpeg": "1cf1f3112c28ba491238fb20790053520c0164d0373018fe83a24b2cce2608c6",
}
"""SHA-256 over the sorted lines "name split"."""


def digest(source: data.Source) -> str:
    parts = data.split(source)
    lines = sorted(f"{sample.name} {part}" for part in data.SPLITS for sample in parts[part])
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def test_digits_are_split_as_ever() -> None:
    assert digest(data.open("digits")) == DIGESTS["digits"]


@pytest.mark.parametrize("name", ["cats-dogs", pytest.param("cifar10-jpeg", marks=pytest.mark.slow)])
def test_photographs_are_split_as_ever(real_data: Path, name: str) -> None:
    if not (real_data / name).is_dir():
        pytest.skip(f"no {name} here")
    assert digest(data.open(real_data / name)) == DIGESTS[name]
