"""Fixtures that more than one room's tests use."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

if "PYTEST_XDIST_WORKER" in os.environ:  # several test processes share the cores: a thread each, before torch asks
    os.environ.setdefault("OMP_NUM_THREADS", "1")
# A shell's background job ignores Ctrl-C, and so would every process that tests start to interrupt it.
signal.signal(signal.SIGINT, signal.default_int_handler)


def noise(height: int, width: int, channels: int | None = 3, seed: int = 0) -> NDArray[np.uint8]:
    """Smooth random pixels, (H, W, channels) or (H, W): a picture with edges, as photographs have."""
    drawn = np.random.default_rng(seed).integers(0, 256, (5, 7, channels or 1), dtype=np.uint8)
    planes = [
        np.asarray(Image.fromarray(drawn[..., plane]).resize((width, height), Image.Resampling.BICUBIC))
        for plane in range(channels or 1)
    ]
    return planes[0] if channels is None else np.stack(planes, axis=-1)


@pytest.fixture(name="noise", scope="session")
def noise_fixture() -> Callable[..., NDArray[np.uint8]]:
    """`noise(height, width, channels=3, seed=0)`."""
    return noise


@pytest.fixture
def draw_folder(tmp_path: Path) -> Callable[..., Path]:
    """`draw_folder({"cats": 3, "train/dogs": 2})`: a folder of different PNG pictures, so many in each folder."""

    def draw(counts: Mapping[str, int], *, name: str = "pets", side: int = 40, first: int = 0) -> Path:
        root = tmp_path / name
        seed = first
        for inner, count in counts.items():
            (root / inner).mkdir(parents=True, exist_ok=True)
            for _ in range(count):
                Image.fromarray(noise(side, side, seed=seed)).save(root / inner / f"picture-{seed:04d}.png")
                seed += 1
        return root

    return draw


@pytest.fixture
def real_data() -> Path:
    """The folder of real data sets, where this machine has one."""
    shelf = os.environ.get("PENNYWEIGHT_DATA")
    if not shelf or not (Path(shelf) / "cats-dogs").is_dir():
        pytest.skip("PENNYWEIGHT_DATA names no folder with real data sets")
    return Path(shelf)


@pytest.fixture
def real_scenes() -> Path:
    """The folder of real scenes, where this machine has one."""
    shelf = os.environ.get("PENNYWEIGHT_DATA")
    if not shelf or not (Path(shelf) / "salinas-a").is_dir():
        pytest.skip("PENNYWEIGHT_DATA names no folder with scenes")
    return Path(shelf)
