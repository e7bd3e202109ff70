"""Lines about a pruned network, from the `pruning` of a bundle's manifest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pennyweight.core.figures import number, several, share

__all__ = ["accuracies", "fewer_macs", "milliseconds"]


def fewer_macs(pruning: Mapping[str, Any]) -> str:
    """Return the multiply-accumulates that are saved, and the channels that went for it."""
    (macs, macs_left), (channels, left) = pruning["macs"], pruning["channels"]
    return f"{share(1 - macs_left / macs)} fewer MACs, {number(left)} of {number(channels)} channels"


def milliseconds(pruning: Mapping[str, Any]) -> str:
    """Return the time of one picture with the whole and with the pruned network."""
    time = pruning["latency"]
    how = f"{time['engine']}, one picture, {several(time['threads'], 'thread')}, {time['repeats']} rounds in turns"
    faster = f"{number(time['times_faster'])} times as fast"
    return f"{number(time['before_ms'])} ms to {number(time['after_ms'])} ms, {faster} ({how})"


def accuracies(pruning: Mapping[str, Any]) -> str:
    """Return validation accuracy before and after, and the fine-tuning between the two."""
    tuned = pruning["tuning"]
    return (
        f"validation accuracy {share(pruning['accuracy_before'])} to {share(pruning['accuracy'])} of "
        f"{number(pruning['validation_pictures'])} pictures, fine-tuned on {number(tuned['pictures'])} "
        f"for {several(tuned['epochs'], 'epoch')}"
    )
