"""Memory that stays with the process."""

import platform
import subprocess
import sys

import pytest

from pennyweight.core.heap import keeping_memory

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


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another allocator than glibc's")
def test_large_blocks_are_kept_inside_and_given_back_after() -> None:
    done = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True"] * 5


def test_another_allocator_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    from pennyweight.core import heap

    monkeypatch.setattr(heap, "_glibc", lambda: None)
    with keeping_memory():
        assert heap._entered == 0
