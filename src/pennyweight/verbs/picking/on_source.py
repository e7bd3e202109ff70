"""`pick` on pictures: find the search again that has ended, or do it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from pennyweight import data
from pennyweight.core.budget import Budget
from pennyweight.core.busy_wait import sharing_cores
from pennyweight.core.errors import InputError
from pennyweight.core.extras import naming_missing_parts
from pennyweight.core.heap import keeping_memory
from pennyweight.search.engine_times import EngineTimes
from pennyweight.search.picks import Picks
from pennyweight.verbs.picking.folder import JOURNAL, SearchFolder
from pennyweight.verbs.picking.options import SourcePick
from pennyweight.verbs.picking.pictures import TriedPictures
from pennyweight.verbs.picking.search import SourceSearch
from pennyweight.verbs.picking.view import SearchView

__all__ = ["pick_on_source"]

Note = Callable[[str], None]


@keeping_memory()
@sharing_cores()
def pick_on_source(
    asked: SourcePick, budget: Budget, times: EngineTimes, space: str | os.PathLike[str] | None, note: Note
) -> Picks:
    """Find the network that keeps the limits and is most accurate on a source's pictures.

    Args:
        asked: Source, minutes and rarer settings.
        budget: Limits; the accuracy is that on held-out pictures of the source.
        times: Times of the engine that executes the bundle.
        space: TOML file with other candidates; None for the usual ones.
        note: Callback that is given a line about each step.

    Raises:
        PennyweightError: The source, the storage or a setting cannot be used, or no candidate could be tried.
    """
    with naming_missing_parts():
        from pennyweight.search.storage import open_storage, working_storage
    if asked.storage is not None:
        open_storage(asked.storage, option="--storage")
    ends = time.monotonic() + 60 * asked.minutes
    source = data.open(asked.source, group_by=asked.group_by, read_as=asked.read_as)
    if source.streamed:
        raise InputError(f"pick needs pictures that are read alone, and {source.name} is streamed; unpack it")
    folder = SearchFolder(asked, source, budget, times.conditions, space)
    if (found := folder.finished()) is not None:
        note(f"{folder.path}: the search has ended; nothing is tried again")
        return found
    folder.require()
    pictures = TriedPictures(asked, source)
    with working_storage(asked.storage or str(folder.path / JOURNAL)):
        with SearchView(note, ends=ends, shown=asked.progress) as view:
            work = SourceSearch(asked, budget, times, ends, pictures, view)
            work.count(space)
            if not work.plan():
                return work.search.picks()
            work.open_study(folder)
            work.try_all()
        work.note = note  # the table is gone
        return work.end()
