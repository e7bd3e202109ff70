"""Memory that stays with the process."""

import platform
import subprocess
import sys

import pytest

from pennyweight.core.heap import keeping_memory, returning_memory

FAULTS = """
import resource
from pennyweight.core.heap import keeping_memory

PAGES = (48 << 20) // resource.getpagesize()

def faults() -> int:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    block = bytearray(b"1") * (48 << 20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

print(faults() >= PAGES, faults() >= PAGES)
with keeping_memory():
    with keeping_memory():
        faults()
    print(faults() < PAGES / 100, faults() < PAGES / 100)
print(faults() >= PAGES)
"""


RETURNS = """
import resource
from pennyweight.core.heap import keeping_memory, returning_memory

PAGES = (1 << 20) // resource.getpagesize()

def faults() -> int:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    block = bytearray(b"1") * (1 << 20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

with returning_memory():
    print(faults() >= PAGES, faults() >= PAGES)
faults()
print(faults() < PAGES / 10)
with keeping_memory():
    with returning_memory():
        faults()
        print(faults() < PAGES / 10)
    print(faults() < PAGES / 10)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another allocator than glibc's")
def test_large_blocks_are_kept_inside_and_given_back_after() -> None:
    done = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True"] * 5


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another allocator than glibc's")
def test_blocks_go_back_at_once_while_a_file_is_opened_and_not_while_a_network_computes() -> None:
    done = subprocess.run([sys.executable, "-c", RETURNS], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True"] * 5


def test_another_allocator_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    from pennyweight.core import heap

    monkeypatch.setattr(heap, "_glibc", lambda: None)
    with keeping_memory(), returning_memory():
        assert heap._entered == 0


LARGE = """
import resource
from pennyweight.core.heap import return_large_blocks, returning_memory

def is_new(size: int) -> bool:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    block = bytearray(b"1") * size
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before >= size // resource.getpagesize() // 2

return_large_blocks()
for _ in range(2):
    is_new(1 << 20), is_new(8 << 20)
    print(is_new(8 << 20), not is_new(1 << 20))
    with returning_memory():
        is_new(1 << 20)
        print(is_new(1 << 20))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another allocator than glibc's")
def test_a_server_gives_large_blocks_back_and_keeps_small_ones() -> None:
    done = subprocess.run([sys.executable, "-c", LARGE], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True"] * 6
