"""The page in a real browser: nothing scrolls sideways, nothing is fetched, nothing is complained about."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pennyweight.report.cost_page import cost_page
from pennyweight.report.run_page import run_page

pytestmark = pytest.mark.browser


def hard(parts_of: Callable[[list[str], list[list[int]]], dict[str, Any]], classes: int) -> dict[str, Any]:
    """A run whose every name is long, without a place to break a line."""
    labels = [f"{'brassica_oleracea_' * 2}{index}" for index in range(classes)]
    parts = parts_of(labels, [[90 if row == column else 3 for column in range(classes)] for row in range(classes)])
    parts["run"] |= {"name": "a_name_without_any_blank_" * 4, "machine": {"cpu": "x" * 90}}
    parts["run"]["data"] |= {"fingerprint": "sha256:" + "f" * 64, "notes": ["n" * 120]}
    parts["cost"]["layers"][0]["name"] = "stages.block." * 8
    return parts


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1200])
@pytest.mark.parametrize("classes", [2, 24, 40])
def test_the_page_fits_and_stands_alone(
    browser: Any, parts_of: Any, tmp_path: Path, classes: int, width: int, scheme: str
) -> None:
    file = tmp_path / "report.html"
    file.write_text(run_page(**hard(parts_of, classes)), encoding="utf-8")
    look(browser, file, width, scheme)


@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_of_costs_fits_and_a_wide_window_shows_every_column(
    browser: Any, weighed: Any, tmp_path: Path, width: int
) -> None:
    file = tmp_path / "cost.html"
    networks = [weighed("mobilenet_v2_of_a_long_name", 60, findings=3), weighed("shufflenet_v2_x1_0", 2)]
    rows = [["network", "MACs"], *([network["name"], "14,000,000 ←"] for network in networks)]
    limits = {"macs_per_s": {"float32": 1e10}, "bytes_per_s": {"L1": 1e11, "memory": 1e9}}
    text = cost_page(networks, limits=limits, machine=["x" * 90], meanings={"G4": "share"}, comparison=rows)
    file.write_text(text, encoding="utf-8")
    look(browser, file, width, "light")
    script = "return [...document.querySelectorAll('.scroll')].map(e => e.scrollWidth - e.clientWidth)"
    hidden = browser.execute_script(script)
    assert (max(hidden) <= 0) == (width == 1280), hidden


def look(browser: Any, file: Path, width: int, scheme: str) -> None:
    """Open the page: nothing of it lies beside the window, asks for anything or is complained about."""
    browser.get("about:blank")  # the browser's own first page may still be loading; its requests are not ours
    browser.get_log("performance")
    browser.get_log("browser")
    # A headless window has a least width; the emulated screen has none.
    screen = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    browser.get(file.as_uri())

    window, shown, whole = browser.execute_script(
        "return [innerWidth, document.documentElement.clientWidth, document.documentElement.scrollWidth]"
    )
    assert window == width
    assert whole <= shown
    assert browser.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
    assert {url for url in asked if not url.startswith("data:")} == {file.as_uri()}
    dark = browser.execute_script("return getComputedStyle(document.body).backgroundColor") == "rgb(23, 25, 28)"
    assert dark == (scheme == "dark")
    cards = "return [...document.querySelectorAll('.plot')].map(e => getComputedStyle(e).backgroundColor)"
    assert set(browser.execute_script(cards)) == {"rgb(31, 34, 38)" if dark else "rgb(255, 255, 255)"}
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print", "features": features})
    assert set(browser.execute_script(cards)) == {"rgb(255, 255, 255)"}
    ink = "return [...document.querySelectorAll('svg text')].map(e => getComputedStyle(e).fill)"
    assert set(browser.execute_script(ink)) == {"rgb(0, 0, 0)"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": features})
