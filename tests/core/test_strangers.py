"""Rule for strangers: the value that an error advises is taken, and a refusal keeps how typical the picture is."""

from __future__ import annotations

import re

import numpy as np
import pytest

from pennyweight.core.errors import InputError
from pennyweight.core.prediction import Failure, Prediction, row_of
from pennyweight.core.strangers import StrangerRule
from pennyweight.core.typicality import HeldOut


def held_out(count: int) -> HeldOut:
    """Return the strangeness 0, 1, 2, … of so many pictures."""
    return HeldOut(np.arange(count, dtype=np.float32), "pictures")


def test_the_advised_share_is_taken_and_none_that_is_much_smaller() -> None:
    for count in range(19, 1001):
        own = held_out(count)
        with pytest.raises(InputError) as caught:
            StrangerRule(least_typical=own.finest * 0.9).require(own)
        found = re.search(r"can tell; take (\d\.\d+), which is (\d+\.\d+)%, or more$", str(caught.value))
        assert found is not None
        assert float(found[2]) / 100 == pytest.approx(float(found[1]))
        StrangerRule(least_typical=float(found[1])).require(own)
        StrangerRule(least_typical=own.finest).require(own)
        assert own.finest <= float(found[1]) < own.finest + 1e-4 + 1e-12


def test_a_network_that_does_not_know_says_why() -> None:
    with pytest.raises(InputError, match="published weights"):
        StrangerRule("refuse").require(None)
    with pytest.raises(InputError, match=r"^the engine does not compute it$"):
        StrangerRule("refuse").require(None, "the engine does not compute it")


def test_a_refusal_is_that_of_a_stranger_and_keeps_how_typical_it_is() -> None:
    own, rule = held_out(99), StrangerRule("refuse")
    answer = Prediction(source="a.png", label="cat", probability=1.0, top=(("cat", 1.0),), typical=0.01)
    refused = rule.apply(answer, own)
    assert isinstance(refused, Failure)
    assert rule.is_strange(refused, own)
    assert refused.to_dict() == {"source": "a.png", "error": refused.error, "typical": 0.01}
    assert row_of(refused)["typical"] == 0.01
    torn = Failure(source="b.png", error="cannot read b.png: it is empty")
    assert not rule.is_strange(torn, own)
    assert torn.to_dict() == {"source": "b.png", "error": "cannot read b.png: it is empty"}
