"""Share the work of `evaluate` and `predict` among the ranks that torchrun started."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from pennyweight.core.errors import PennyweightError

if TYPE_CHECKING:
    from pennyweight.train import Ranks

__all__ = ["WAIT_MINUTES", "is_first", "share_work", "take_turns"]

WAIT_MINUTES = 5.0
"""Minutes for which a rank waits for the others."""
TURN = 64
"""Items that a rank works on before all ranks exchange their results."""

Item = TypeVar("Item")
Made = TypeVar("Made")


def is_first() -> bool:
    """Return whether this process prints and writes: rank 0, or the only process."""
    return os.environ.get("RANK", "0") == "0"


def share_work(wait: float, items: Sequence[Item], work: Callable[[Sequence[Item]], Made]) -> list[Made]:
    """Return the work on each rank's part of the items, in the order of the items; the same list on every rank.

    Args:
        wait: Minutes to wait for the other ranks.
        items: Items, equal on every rank.
        work: Function of a part, which may be empty.

    Raises:
        PennyweightError: The work of any rank failed, or a rank has not come.
    """
    ranks = _ranks(wait)
    if ranks is None:
        return [work(items)]
    made: Made | Exception
    try:
        made = work(ranks.share(items))
    except Exception as error:
        made = PennyweightError(str(error)) if isinstance(error, PennyweightError) else error
    return _results(ranks.gather(made))


def take_turns(wait: float, items: Iterable[Item], work: Callable[[Iterator[Item]], Iterator[Made]]) -> Iterator[Made]:
    """Return an iterator over the work on all items in their order, on every rank.

    Each rank works on a part of every turn.

    Args:
        wait: Minutes to wait for the other ranks.
        items: Items, equal on every rank.
        work: Function that yields a result for each item.

    Raises:
        PennyweightError: The work of any rank failed, or a rank has not come.
    """
    ranks = _ranks(wait)
    return work(iter(items)) if ranks is None else _turns(ranks, iter(items), work)


def _turns(ranks: Ranks, waiting: Iterator[Item], work: Callable[[Iterator[Item]], Iterator[Made]]) -> Iterator[Made]:
    while turn := list(islice(waiting, TURN * ranks.count)):
        made: list[Made] | Exception
        try:
            made = list(work(iter(ranks.share(turn))))
        except Exception as error:
            made = PennyweightError(str(error)) if isinstance(error, PennyweightError) else error
        for part in _results(ranks.gather(made)):
            yield from part


def _results(parts: Sequence[Made | Exception]) -> list[Made]:
    """Return the results. Raises the first failure among them."""
    for part in parts:
        if isinstance(part, Exception):
            raise part
    return [part for part in parts if not isinstance(part, Exception)]


def _ranks(wait: float) -> Ranks | None:
    """Return the ranks, None for a single process, or where the other ranks have ended, as after `fit`."""
    if os.environ.get("WORLD_SIZE", "1") == "1" and "MASTER_ADDR" not in os.environ:
        return None
    from pennyweight.train import Ranks, rendezvous

    if rendezvous.is_over():
        return None
    ranks = Ranks(wait)
    return ranks if ranks.count > 1 else None
