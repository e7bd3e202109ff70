"""The page is whole in itself, takes every name literally, and its totals are the sums of its rows."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator
from functools import partial
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from pennyweight.report import plots
from pennyweight.report.least_typical import LeastTypical, OddPicture
from pennyweight.report.run_page import Mistake, run_page

Parts = dict[str, Any]
HOSTILE = "<script>alert('x')</script>\"onerror=\"alert(1)&<img src=http://example.com/a.png>"


@pytest.fixture(autouse=True, scope="module")
def drawn() -> Iterator[dict[str, str]]:
    """The plots by what they show: most pages here have equal ones, and each takes longer than the rest of a page."""
    made: dict[str, str] = {}

    def once(draw: Callable[..., str], *given: object, **options: object) -> str:
        key = f"{draw} {given} {options}"
        if key not in made:
            made[key] = draw(*given, **options)
        return made[key]

    with pytest.MonkeyPatch.context() as patch:
        for name in plots.__all__:
            patch.setattr(plots, name, partial(once, getattr(plots, name)))
        yield made


class Reader(HTMLParser):
    """Collects what a browser would see: elements with attributes, text by section, tables as rows of cells."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.tables: dict[str, list[list[str]]] = {}
        self._section = ""
        self._cell: list[str] | None = None
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.elements.append((tag, values))
        if tag == "section":
            self._section = values["aria-labelledby"] or ""
        if tag == "tr":
            self.tables.setdefault(self._section, []).append([])
        if tag in ("td", "th"):
            self._cell = []

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th") and self._cell is not None:
            self.tables[self._section][-1].append("".join(self._cell).strip())
            self._cell = None

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._cell is not None:
            self._cell.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [values for name, values in self.elements if name == tag]

    @property
    def words(self) -> str:
        return " ".join(self.text.split())


def test_nothing_outside_the_page_is_asked_for(parts: Parts) -> None:
    text = run_page(**parts)
    reader = Reader(text)
    for tag, values in reader.elements:
        assert tag not in {"script", "iframe", "object", "embed", "base", "form"}
        for name, value in values.items():
            assert not name.startswith("on"), (tag, name)
            if name in {"src", "href", "xlink:href", "srcset", "action", "poster", "data"}:
                assert (value or "").startswith(("data:", "#")), (tag, name, value)
    assert all(target.strip("'\"").startswith(("#", "data:")) for target in re.findall(r"url\(([^)]*)\)", text))
    assert "@import" not in text
    assert any("default-src 'none'" in (values.get("content") or "") for values in reader.all("meta"))


def test_links_lead_to_places_on_the_page_and_ids_are_unique(parts: Parts) -> None:
    reader = Reader(run_page(**parts))
    ids = [values["id"] for _, values in reader.elements if "id" in values]
    assert len(ids) == len(set(ids))
    links = [values["href"] for values in reader.all("a")]
    assert links
    assert {link.removeprefix("#") for link in links if link} <= set(ids)


def test_the_headline_says_how_good_against_what_and_chosen_how(parts: Parts) -> None:
    words = Reader(run_page(**parts)).words
    assert "85.7% accuracy on 70 test pictures (95% interval 75.7–92.1%)" in words
    assert "always predicts the most common class: 50.0% accuracy" in words
    assert "epoch 2 of 3, the best on the validation pictures: accuracy 93.0%, loss 0.21" in words
    assert "split 70/15/15 by class, seed 7" in words
    assert "do not show that the network does better" not in words


def test_it_says_so_when_the_network_may_be_no_better_than_the_majority(parts: Parts) -> None:
    parts["evaluation"]["majority_accuracy"] = 0.8
    assert "do not show that the network does better" in Reader(run_page(**parts)).words


def test_scores_on_the_pictures_that_chose_the_epoch_come_with_a_warning(parts: Parts) -> None:
    parts["evaluation"]["split"] = "val"
    words = Reader(run_page(**parts)).words
    assert "accuracy on 70 validation pictures" in words
    assert "so the accuracy above is optimistic" in words


def test_names_are_taken_literally(parts_of: Callable[[list[str], list[list[int]]], Parts]) -> None:
    parts = parts_of([HOSTILE, "dogs"], [[31, 4], [6, 29]])
    parts["run"] |= {"name": HOSTILE, "recipe": {HOSTILE: HOSTILE}, "machine": {"cpu": HOSTILE}}
    parts["run"]["data"] |= {"source": HOSTILE, "notes": [HOSTILE]}
    parts["cost"]["layers"][0]["name"] = HOSTILE
    parts["cost"]["uncounted"] = {HOSTILE: 1}
    parts["mistakes"] = [dataclasses.replace(parts["mistakes"][0], source=HOSTILE)]
    clean, reader = Reader(run_page(**parts_of(["cats", "dogs"], [[31, 4], [6, 29]]))), Reader(run_page(**parts))
    assert not reader.all("script")
    assert len(reader.all("img")) == 1
    assert not any(name.startswith("on") for _, values in reader.elements for name in values)
    assert {tag for tag, _ in reader.elements} <= {tag for tag, _ in clean.elements}
    assert reader.text.count(HOSTILE) >= 8


def test_the_least_typical_pictures_are_shown_by_split_with_their_names(parts: Parts) -> None:
    assert "#least-typical" not in run_page(**parts)
    picture = OddPicture(np.zeros((8, 8, 3), np.uint8), HOSTILE, "cats", 0.004)
    odd = LeastTypical(training=[picture] * 2, test=[picture], calibration="calibrated on 60 pictures")
    before, after = Reader(run_page(**parts)), Reader(run_page(**parts, odd=odd))
    assert {"href": "#least-typical"} in after.all("a")
    assert len(after.all("img")) == len(before.all("img")) + 3
    assert after.text.count(HOSTILE) == 3
    assert after.words.count("0.40%") == 3
    assert "No test picture was used before." in after.words
    assert "compared with the others" not in after.words  # there is no validation picture


def test_the_least_typical_pictures_say_what_was_measured_and_what_few_pictures_tell(parts: Parts) -> None:
    picture = OddPicture(np.zeros((8, 8, 3), np.uint8), "a.png", "cats", 0.04)
    odd = LeastTypical(training=[picture], test=[picture], calibration="calibrated on 30 pictures")
    assert "Of a hundred good pictures, about one is 1% typical or less" in Reader(run_page(**parts, odd=odd)).words
    few = dataclasses.replace(odd, least_typical=1 / 31, drawn={"training": (2000, 50_000)})
    words = Reader(run_page(**parts, odd=few)).words
    assert "Of a hundred" not in words
    assert "About 3.23% of good pictures are 3.23% typical or less" in words
    assert words.count("2,000 pictures, drawn from 50,000, were measured.") == 1


@pytest.mark.parametrize("outside", [0, 512])
def test_the_total_of_the_cost_is_the_sum_of_its_rows(parts: Parts, outside: int) -> None:
    parts["cost"]["params"] += outside
    heading, *rows, total = Reader(run_page(**parts)).tables["cost"]
    assert heading[-2:] == ["Parameters", "MACs"]
    assert total[0] == "Total"
    assert len(rows) == len(parts["cost"]["layers"]) + bool(outside)
    for column, key in ((-2, "params"), (-1, "macs")):
        figures = [int(row[column].removeprefix("≥ ").replace(",", "")) for row in (*rows, total)]
        assert sum(figures[:-1]) == figures[-1] == parts["cost"][key]


def test_the_cost_states_its_convention_and_what_it_left_out(parts: Parts) -> None:
    words = Reader(run_page(**parts)).words
    assert "MACs: multiply-accumulates of convolutions, linear layers and matrix products, without biases" in words
    assert "Operators without a formula, which are not counted: aten.hardtanh_ 35 times." in words
    parts["cost"]["uncounted"] = {}
    assert "All operators are counted." in Reader(run_page(**parts)).words


def test_facts_recipe_machine_and_versions_are_there(parts: Parts) -> None:
    tables = Reader(run_page(**parts)).tables
    facts = {row[0]: row[1] for row in tables["facts"]}
    assert facts["Training pictures"] == "1,257"
    assert facts["Parameters"] == "1,402"
    assert facts["MACs per picture"] == "≥ 129,056"  # an operator was not counted
    assert facts["Training time"] == "3 min 20 s"
    assert facts["Created"] == "2026-03-01 12:30 UTC"
    recipe = {row[0]: row[1] for row in tables["recipe"]}
    assert recipe["seed"] == "20261"
    assert recipe["ema"] == "yes"
    assert recipe["resize"] == "squash"
    machine = {row[0]: row[1] for row in tables["machine"]}
    assert machine["cores"] == "2"
    assert machine["torch"] == "2.14.0"


@pytest.mark.parametrize(
    ("frame", "shown"), [("pad", ", padded"), ("stretch", ", stretched"), ("crop", ""), (None, "")]
)
def test_the_input_is_given_with_its_frame(parts: Parts, frame: str | None, shown: str) -> None:
    parts["run"]["preprocess"] = {} if frame is None else {"frame": frame}
    rows = dict(row for row in Reader(run_page(**parts)).tables["facts"] if len(row) == 2)
    assert rows["Input (channels×height×width)"].endswith(f"32{shown}")


def test_mistakes_show_picture_answer_truth_and_file(parts: Parts) -> None:
    reader = Reader(run_page(**parts))
    small, large = reader.all("img")
    assert small["alt"] == "A picture of cats, predicted as dogs"
    assert (small["src"] or "").startswith("data:image/png;base64,")
    assert (large["src"] or "").startswith("data:image/jpeg;base64,")
    assert "predicted dogs 97.0% true cats 3.0% pets/test/cats/cat.7.png" in reader.words


def test_no_mistakes(parts: Parts) -> None:
    parts["mistakes"] = []
    assert "No mistakes are shown." in Reader(run_page(**parts)).words
    parts["evaluation"]["accuracy"] = 1.0
    assert "None: all 70 test pictures were classified correctly." in Reader(run_page(**parts)).words


def test_many_classes_list_the_pairs_confused_most(parts_of: Callable[[list[str], list[list[int]]], Parts]) -> None:
    counts = np.diag(np.full(31, 10))
    counts[4, 9], counts[30, 2] = 5, 3
    parts = parts_of([f"kind {index}" for index in range(31)], counts.tolist())
    reader = Reader(run_page(**parts))
    assert reader.tables["confusion"][1:] == [["kind 4", "kind 9", "5", "33.3%"], ["kind 30", "kind 2", "3", "23.1%"]]
    assert [row[0] for row in reader.tables["classes"][1:3]] == ["kind 0", "kind 1"], "lowest F1 first"
    parts["evaluation"]["confusion"] = np.diag(np.full(31, 10)).tolist()
    assert "No pair of classes was confused." in Reader(run_page(**parts)).words


def test_what_could_not_be_measured_is_a_dash(parts: Parts) -> None:
    parts["evaluation"]["per_class"][0] |= {"precision": None, "f1": None}
    parts["epochs"] = []
    reader = Reader(run_page(**parts))
    assert reader.tables["classes"][1] == ["cats", "35", "0.0%", "–", "–"]
    assert "No epoch was recorded." in reader.words


def test_a_reader_with_a_screen_reader_finds_the_way(parts: Parts) -> None:
    text = run_page(**parts)
    reader = Reader(text)
    assert text.startswith("<!doctype html>")
    assert reader.all("html") == [{"lang": "en"}]
    assert len(reader.all("title")) == 1
    levels = [int(tag[1]) for tag, _ in reader.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels == [1] + [2] * (len(levels) - 1)
    assert all(values.get("scope") in {"row", "col"} for values in reader.all("th"))
    assert all(values.get("alt") for values in reader.all("img"))
    assert len(reader.all("svg")) == 3
    assert all(values["role"] == "img" and values["aria-label"] for values in reader.all("svg"))


def test_the_same_run_gives_the_same_page(parts: Parts, drawn: dict[str, str]) -> None:
    drawn.clear()
    page = run_page(**parts)
    drawn.clear()
    assert run_page(**parts) == page


@pytest.mark.parametrize(
    "image",
    [np.zeros((8, 8), np.uint8), np.zeros((3, 8, 8), np.uint8), np.zeros((8, 8, 3), np.float32)],
    ids=["no channels", "channels first", "float"],
)
def test_a_picture_of_another_kind_is_refused(image: Any) -> None:
    with pytest.raises(ValueError, match=r"must be uint8 of shape \(H, W, 1\) or \(H, W, 3\)"):
        Mistake(image=image, source="a.png", truth="a", predicted="b", probability=0.9, truth_probability=0.1)
