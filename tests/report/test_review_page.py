"""Page of a review: every picture has its choices, and one script is allowed, by its digest."""

from __future__ import annotations

import base64
import csv
import hashlib
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pennyweight import data
from pennyweight.report.review_page import Card, Lookalike, Section, review_page

PIXELS = np.full((80, 100, 3), 120, np.uint8)


def card(picture: str, label: str, labels: tuple[str, ...], digest: str = "") -> Card:
    answers = [(each, 1 / len(labels)) for each in sorted(labels, key=lambda each: each == label)]
    beside = [Lookalike(label, "beside.png", PIXELS), Lookalike(answers[0][0], "other.png", None)]
    return Card(
        picture=picture, digest=digest, label=label, image=PIXELS, answers=answers, label_probability=0.1,
        nearest=beside,
    )  # fmt: skip


def page(*cards: Card, labels: tuple[str, ...] = ("cats", "dogs"), earlier: Any = ()) -> str:
    return review_page(
        source="pets & <more>", address="pets", fingerprint="sha256:0", labels=labels, pictures=9, likely_errors=1,
        notes=["a line"], earlier=earlier, sections=[Section("Least likely labels", "meaning", cards)],
    )  # fmt: skip


def test_the_policy_allows_this_script_and_no_other() -> None:
    text = page(card("a.png", "cats", ("cats", "dogs")))
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:"
    assert f'content="{policy}"' in text
    assert " on" not in "".join(re.findall(r"<[a-z][^>]*>", text))  # no handler within the markup


def test_a_name_is_escaped() -> None:
    text = page(card('"><script>x</script>.png', "cats", ("cats", "dogs")))
    assert "<script>x" not in text
    assert "pets &amp; &lt;more&gt;" in text


def test_many_classes_are_a_list() -> None:
    labels = tuple(f"class {number}" for number in range(9))
    made = card("a.png", "class 0", labels)
    assert len(made.offered) == 5
    assert sorted([*made.offered, *made.listed]) == sorted(set(labels) - {"class 0"})
    assert page(made, labels=labels).count("<option value=") == 3


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    for number, name in enumerate(("cats/a.png", "cats/b.png", "cats/c.png", "dogs/d.png", "dogs/e.png")):
        (tmp_path / "pets" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((16, 16), 40 * number, np.uint8)).save(tmp_path / "pets" / name)
    return tmp_path / "pets"


@pytest.mark.browser
def test_choices_by_keyboard_are_saved_and_corrected(browser: Any, pets: Path, tmp_path: Path) -> None:
    """The first picture is another class, the second left out, the third right; an earlier row is kept."""
    opened = data.open(pets)
    cards = [card(each.name, opened.labels[each.label], opened.labels, each.digest) for each in opened.samples]
    earlier = {"picture": "=dogs/gone.png", "correct_label": "cats", "leave_out": "", "digest": "e" * 64}
    file = tmp_path / "review.html"
    file.write_text(page(*cards, earlier=[earlier]), encoding="utf-8")
    saved = tmp_path / "saved"
    saved.mkdir()
    browser.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(saved)})
    browser.get(file.as_uri())
    browser.find_element("css selector", ".cards input").send_keys("2")  # dogs
    browser.switch_to.active_element.send_keys("3")  # the next picture is left out
    browser.switch_to.active_element.send_keys("\ue015")  # arrow down: the label is right
    assert browser.find_element("id", "counts").text == "1 changed, 1 left out, 1 right; 2 to go; 1 from before"
    browser.refresh()
    assert browser.find_element("id", "counts").text.startswith("1 changed, 1 left out, 1 right")
    browser.find_element("id", "save").send_keys("\ue007")
    table = saved / "pets-more-corrections.csv"
    waits = pytest.importorskip("selenium.webdriver.support.wait")
    waits.WebDriverWait(browser, 20).until(lambda _: table.exists())
    assert browser.get_log("browser") == []
    with table.open(encoding="utf-8-sig", newline="") as written:
        rows = [tuple(row.values())[:3] for row in csv.DictReader(written)]
    assert rows == [
        ("'=dogs/gone.png", "cats", ""),
        ("cats/a.png", "dogs", ""),
        ("cats/b.png", "", "yes"),
        ("cats/c.png", "cats", ""),
    ]
    found = data.open(pets, read_as={"corrections": table})
    labels = {each.name: found.labels[each.label] for each in found.samples}
    assert labels == {"cats/a.png": "dogs", "cats/c.png": "cats", "dogs/d.png": "dogs", "dogs/e.png": "dogs"}
