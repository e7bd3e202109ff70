"""Values that are no numbers: JSON has none, so the line says where they are."""

import math

import pytest

from pennyweight.cli import show
from pennyweight.core.errors import PennyweightError


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_json_cannot_hold_is_named_by_its_place(value: float, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(PennyweightError, match=rf"not a finite number \(per_class\.1\.recall: {value}\), which JSON"):
        show.as_json({"per_class": [{"recall": 1.0}, {"recall": value}]})
    assert capsys.readouterr().out == ""
