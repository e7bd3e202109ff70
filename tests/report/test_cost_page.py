"""The page of what networks cost says all that it shows, and what it does not."""

from __future__ import annotations

import re
from typing import Any

import pytest

from pennyweight.report.cost_page import cost_page

LIMITS = {"macs_per_s": {"float32": 1e10}, "bytes_per_s": {"L1": 1e11, "memory": 1e9}}
MACHINE = ["processor X", "profile of 1 thread"]
MEANINGS = {"G4": "element-wise share of the bytes"}


def text_of(networks: list[Any], **options: Any) -> str:
    """The page without its tags, a blank between any two."""
    page = cost_page(networks, **{"limits": LIMITS, "machine": MACHINE, "meanings": MEANINGS, **options})
    body = page[page.index("<body") :]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", body.replace("<wbr>", "")))


def test_a_network_with_its_facts_rows_and_machine(weighed: Any) -> None:
    text = text_of([weighed("mine", 3, findings=1)])
    assert "input 3×224×224, batch 1" in text
    assert "processor X profile of 1 thread" in text
    assert "layer type in out params MACs operations MB read MB written predicted ms bound by (itself)" in text
    assert "trunk.1.layers.0.0 InvertedResidual 144×112×112 144×112×112 1,000,000 40,140,800 80,281,600 2 4.817" in text
    assert "total 3,000,000 120,422,400 240,844,800 6 14.45 4.5" in text
    assert "Measured: G4 element-wise share of the bytes" in text
    assert "G4 (itself) 0.5 0 2 1.5" in text


def test_a_page_of_one_network_names_it_once_and_times_what_was_timed(weighed: Any) -> None:
    alone = text_of([weighed("mine", 3, ms=None, findings=1)])
    assert alone.count("mine") == 1
    assert "Totals" in alone
    assert "extra ms" not in alone
    assert "G4 (itself) 0.5 0 2 batch norm" in alone
    assert "extra MB extra ms advice" in text_of([weighed("mine", 3, findings=1)])


@pytest.mark.parametrize(("layers", "said"), [(40, "every layer"), (41, "the 40 of 41 layers with the most traffic")])
def test_bars_say_which_layers_they_show(weighed: Any, layers: int, said: str) -> None:
    assert f"Memory traffic: {said}" in text_of([weighed("mine", layers, ms=None)])


def test_colours_of_times_have_a_legend(weighed: Any) -> None:
    times = text_of([weighed("mine", 3)], limits=None)
    assert "Predicted time: every layer" in times
    assert times.count("bound by compute") == times.count("bound by memory") == 1
    assert "Predicted time:" not in text_of([weighed("mine", 3, ms=None)])


def test_findings_that_are_left_out_are_counted(weighed: Any) -> None:
    assert "Guidelines of ShuffleNetV2, the first 30 of 31" in text_of([weighed("mine", 1, ms=None, findings=31)])
    few = text_of([weighed("none", 1, ms=None), weighed("all", 1, ms=None, findings=30)])
    assert "the first" not in few
    assert "The network follows all guidelines of ShuffleNetV2." in few


def test_networks_compared_and_what_the_plot_cannot_show(weighed: Any) -> None:
    networks = [
        {**weighed(name, 1, ms=None, macs=macs), "predicted_ms": 3.0} for name, macs in (("one", 40), ("two", 60))
    ]
    networks.append({**weighed("light", 1, ms=None, macs=0), "predicted_ms": 1.0})
    networks.append({**weighed("part", 1, ms=None), "predicted_ms": 1.0})
    networks[-1]["cost"]["uncounted"] = {"aten.sort": 1}
    rows = [["network", "MACs"], ["one", "80"], ["two", "120"], ["light", "0 ←"]]
    text = text_of(networks, comparison=rows, measured="measured: 3 times")
    assert "network MACs one 80 two 120 light 0 ←" in text
    assert "Measured: 3 times." in text
    assert "not plotted, without MACs: light; not plotted, with uncounted operators: part" in text
    assert text.count("≥") == 2  # MACs and operations of the last
    assert "milliseconds, predicted" in text


def test_rows_by_stage_have_no_columns_of_layers(weighed: Any) -> None:
    text = text_of([weighed("mine", 3, ms=None)], by="stage")
    assert "stage in out params MACs operations MB read MB written (itself)" in text
