"""Pictures that a training on trusted shards met and could not decode: kept in run.json, and noted at the end."""

from __future__ import annotations

from pennyweight import data
from pennyweight.core.figures import several
from pennyweight.core.reasons import by_reason
from pennyweight.verbs.fitting.open import PictureFit
from pennyweight.verbs.fitting.run_record import data_record
from pennyweight.verbs.fitting.session import RunSession

__all__ = ["note_left_out", "record_left_out"]


def record_left_out(fitting: PictureFit, session: RunSession) -> None:
    """Write the pictures that any rank left out to run.json, if there are new ones. Every rank must take part."""
    training = fitting.pictures["train"]
    if not isinstance(training, data.Stream) or not fitting.source.read_as.get("trust"):
        return
    before = _left_out(fitting, session)
    met = [each for part in session.ranks.gather(training.lost) for each in part]
    lost = sorted({*before, *met})
    if len(lost) > len(before):
        session.write(data=data_record(fitting, lost))


def note_left_out(fitting: PictureFit, session: RunSession) -> None:
    """Note the pictures that training left out."""
    lost = _left_out(fitting, session)
    for line in by_reason(lost, "left out in training: ", listed="run.json lists all that are left out"):
        session.shown.note(line)
    if lost:
        total = f"{several(len(lost), 'picture')} of {len(fitting.pictures['train']):,}"
        session.shown.note(f"training met {total} that cannot be read; others took their places")


def _left_out(fitting: PictureFit, session: RunSession) -> list[data.Unreadable]:
    """Return the pictures that run.json names in addition to those that were left out before training."""
    recorded = [data.Unreadable(each["name"], each["reason"]) for each in session.record.data.unreadable or ()]
    known = {each.name for each in fitting.unreadable}
    return [each for each in recorded if each.name not in known]
