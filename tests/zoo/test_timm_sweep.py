"""`timm:NAME.TAG` is the network of `timm.create_model(NAME.TAG)`: its head, its classes, its input.

By default one name of each of timm's families, and of each kind of head in it. PENNYWEIGHT_TIMM_SWEEP=all takes every
name that has a tag, PENNYWEIGHT_TIMM_SWEEP=400 about so many.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from functools import cache

import pytest
import torch

from pennyweight.cost import count
from pennyweight.verbs.weigh import weigh
from pennyweight.zoo import on_meta

pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]  # timm's own, of old names


SMALL = {"mini", "nano", "pico", "femto", "atto", "tiny", "small", "n", "s", "t", "ti", "xs", "xxs", "xt"}
"""Words in the names of small networks, which are taken first: a deep one shows nothing more."""
PARTS = 8
"""Cases that the names are dealt to, so that several processes share them."""


@cache
def chosen() -> Sequence[str]:
    import timm

    every = timm.list_pretrained()
    width = os.environ.get("PENNYWEIGHT_TIMM_SWEEP", "")
    if width == "all":
        return every
    kinds: dict[tuple[str, str], str] = {}
    for name in sorted(every, key=lambda name: SMALL.isdisjoint(re.split(r"[_.\d]+", name.partition(".")[0]))):
        classes = timm.get_pretrained_cfg(name).num_classes
        head = {0: "none", 1000: "ImageNet-1k"}.get(classes, "other")
        kinds.setdefault((timm.models.model_entrypoint(name.partition(".")[0]).__module__, head), name)
    step = len(every) // int(width) if width else len(every)
    return sorted({*kinds.values(), *every[:: max(step, 1)]})


@pytest.mark.parametrize("part", range(PARTS))
def test_every_name_is_the_network_that_timm_makes(part: int) -> None:
    import timm

    assert len(chosen()) >= 100
    unlike, names = [], chosen()[part::PARTS]
    for name in names:
        theirs = on_meta(lambda name=name: timm.create_model(name)).eval()
        shape = theirs.pretrained_cfg["input_size"]
        with torch.inference_mode():
            expected, found = count(theirs, shape), weigh(f"timm:{name}")
        if (found.params, found.macs, found.input_shape) != (expected.params, expected.macs, expected.input_shape):
            unlike.append((name, found.params, expected.params, found.macs, expected.macs))
    print(f"{len(names)} names, {len(unlike)} unlike")
    assert unlike == []
