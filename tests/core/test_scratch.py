"""Large arrays lie in files that leave nothing behind, and in memory where no file can be had."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from pennyweight.core import scratch as module
from pennyweight.core.scratch import scratch


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of files; 1,000 bytes are large."""
    monkeypatch.setenv("PENNYWEIGHT_CACHE", str(tmp_path))
    monkeypatch.setattr(module, "LARGE", 1000)
    return tmp_path / "scratch"


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="the system cannot reserve space")
@pytest.mark.parametrize("shape", [1000, (10, 100)])
def test_a_large_array_lies_in_a_file_without_a_name(folder: Path, shape: int | tuple[int, ...]) -> None:
    array = scratch(shape, np.uint8)
    assert isinstance(array, np.memmap)
    assert array.shape == np.zeros(shape).shape
    assert not array.any()
    array[-1] = 7
    assert array.max() == 7
    assert not list(folder.iterdir())


def test_a_small_array_lies_in_memory(folder: Path) -> None:
    assert not isinstance(scratch((9, 111), np.uint8), np.memmap)
    assert scratch(0, np.uint8).size == 0
    assert not folder.exists()


def test_without_room_on_the_disk_a_large_array_lies_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    assert not scratch(1000, np.uint8).any()


def test_without_a_cache_folder_a_large_array_lies_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("PENNYWEIGHT_CACHE", str(tmp_path / "file"))
    assert not scratch(1000, np.uint8).any()
