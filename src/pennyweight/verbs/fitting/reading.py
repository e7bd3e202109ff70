"""Read the pictures of a training, note what is left out, and fit the input to them."""

from __future__ import annotations

from dataclasses import replace

from pennyweight import data
from pennyweight.core.errors import SourceError
from pennyweight.core.reasons import EXAMPLES, by_reason, doctor_lists
from pennyweight.verbs.fitting.network_trial import network_lines
from pennyweight.verbs.fitting.open import PictureFit
from pennyweight.verbs.fitting.session import RunSession

__all__ = ["read_pictures"]

LISTED = "run.json lists all that are left out"


def read_pictures(fitting: PictureFit, session: RunSession) -> None:
    """Read every split, and decide what is done about unequal classes.

    Raises SourceError where too few are left, and where a program changed the pictures that it passed.
    """
    note, source = session.shown.note, fitting.source
    data.require_unchanged(source)
    for line in (*source.notes, *fitting.splits.notes, *fitting.plan.why, *fitting.fitted):
        note(line)
    for line in network_lines(fitting.networks):
        note(line)
    if len(fitting.splits.left_out) > EXAMPLES:
        note(LISTED)
    with session.shown.phase("reading pictures", len(source.samples)) as phase:
        for part in fitting.pictures.values():
            fitting.unreadable += part.read(phase.advance)
    _require_enough(fitting, session)
    for line in data.label_conflicts(source, fitting.unreadable):
        note(line)
    note("pictures: " + ", ".join(f"{name} {count:,}" for name, count in fitting.counts.items()))
    training = fitting.pictures["train"]
    balance = data.Balance.of(
        training.targets, len(source.labels), fitting.plan.recipe.balance, streamed=source.streamed
    )
    training.balance = balance
    _normalize_channels(fitting)
    if isinstance(training, data.Stream) and not training.kept:
        note(training.order_note(fitting.plan.recipe.batch))
    for line in dict.fromkeys(filter(None, (*(part.note for part in fitting.pictures.values()), balance.note))):
        note(line)


def _require_enough(fitting: PictureFit, session: RunSession) -> None:
    """Note the pictures that are left out, by reason. Raises SourceError where too few are left."""
    listed = LISTED
    try:
        data.require_enough(fitting.source, fitting.unreadable, *fitting.pictures.values())
    except SourceError:
        listed = doctor_lists("" if data.is_passed(fitting.source.address) else fitting.source.address)
        raise
    finally:
        for line in by_reason(fitting.unreadable, "left out: ", listed=listed):
            session.shown.note(line)


def _normalize_channels(fitting: PictureFit) -> None:
    """Measure mean and deviation of pictures that are neither gray nor RGB: there are no usual values for them."""
    preprocess = fitting.plan.preprocess
    if preprocess.channels in (1, 3):
        return
    mean, std = data.channel_statistics(fitting.pictures["train"])
    fitting.plan = replace(fitting.plan, preprocess=replace(preprocess, mean=mean, std=std))
    for part in fitting.pictures.values():
        part.preprocess = fitting.plan.preprocess
    if fitting.plan.preprocess != preprocess:
        fitting.teacher = fitting.open_teacher()
