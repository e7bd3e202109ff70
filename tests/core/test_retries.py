"""Reads are retried after failures that may pass, a bounded number of times."""

from __future__ import annotations

import errno

import pytest

from pennyweight.core import retries
from pennyweight.core.errors import ImageError
from pennyweight.core.retries import may_pass, retrying


@pytest.fixture(autouse=True)
def no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "WAIT_S", 0.0)


def failing(times: int, error: Exception) -> tuple[list[int], object]:
    calls: list[int] = []

    def action() -> str:
        calls.append(1)
        if len(calls) <= times:
            raise error
        return "read"

    return calls, action


@pytest.mark.parametrize("code", [errno.EIO, errno.ESTALE, errno.ETIMEDOUT])
def test_a_failure_that_passes_is_not_seen(code: int) -> None:
    calls, action = failing(retries.RETRIES, OSError(code, "no answer"))
    assert retrying(action) == "read"  # type: ignore[arg-type]
    assert len(calls) == retries.RETRIES + 1


def test_a_failure_that_stays_is_raised_after_the_last_retry() -> None:
    calls, action = failing(100, OSError(errno.EIO, "no answer"))
    with pytest.raises(OSError, match="no answer"):
        retrying(action)  # type: ignore[arg-type]
    assert len(calls) == retries.RETRIES + 1


@pytest.mark.parametrize("error", [FileNotFoundError(errno.ENOENT, "gone"), OSError("image file is truncated")])
def test_a_fault_of_the_file_is_raised_at_once(error: OSError) -> None:
    calls, action = failing(100, error)
    with pytest.raises(OSError, match=str(error.strerror or error)):
        retrying(action)  # type: ignore[arg-type]
    assert len(calls) == 1


def test_the_cause_of_an_error_counts() -> None:
    error = ImageError("cannot read a.jpg")
    assert not may_pass(error)
    error.__cause__ = OSError(errno.EIO, "no answer")
    assert may_pass(error)
