"""The page in a real browser: by choice, drop and paste; readable, by keyboard, with nothing from elsewhere."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
AXE = ROOT / ".node" / "node_modules" / "axe-core" / "axe.min.js"
WIDTHS = {"phone": 390, "desktop": 1280}
RED, BLUE, BLACK = (220, 40, 30), (20, 40, 220), (0, 0, 0)


def test_the_page_loads_nothing_from_elsewhere(client: Any) -> None:
    answer = client("GET", "/")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    text = answer.body.decode()
    assert "http" not in text
    assert "style=" not in text
    for name in ("house.css", "page.css", "page.js", "icon.svg"):
        found = client("GET", f"/assets/{name}")
        assert (found.status, found.headers["x-content-type-options"]) == (200, "nosniff")
        assert b"//" not in found.body.replace(b"http://www.w3.org/2000/svg", b"")
    assert client("GET", "/assets/page.py").status == 404


class Page:
    """The page in a browser, as a person uses it."""

    def __init__(self, browser: Any, address: str) -> None:
        self.browser, self.address = browser, address

    def open(self, width: int = 1280, scheme: str = "light") -> None:
        self.browser.get("about:blank")
        self.browser.get_log("performance")
        self.browser.get_log("browser")
        screen = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 500}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        self.browser.get(self.address)
        self.wait(lambda: "classes" in self.text("#summary"))

    def wait(self, condition: Callable[[], Any]) -> Any:
        from selenium.webdriver.support.ui import WebDriverWait

        return WebDriverWait(self.browser, 20).until(lambda _: condition())

    def run(self, script: str, *arguments: Any) -> Any:
        return self.browser.execute_script(script, *arguments)

    def text(self, selector: str) -> str:
        return str(self.run("return document.querySelector(arguments[0])?.textContent ?? ''", selector))

    def send(self, event: str, files: dict[str, bytes]) -> None:
        """Drop or paste files."""
        script = """
        const transfer = new DataTransfer();
        for (const [name, text] of arguments[1])
          transfer.items.add(new File([Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0))], name));
        const kind = arguments[0] === "drop" ? DragEvent : ClipboardEvent;
        const data = arguments[0] === "drop" ? { dataTransfer: transfer } : { clipboardData: transfer };
        document.dispatchEvent(new kind(arguments[0], { bubbles: true, cancelable: true, ...data }));
        """
        self.run(script, event, [[name, base64.b64encode(content).decode()] for name, content in files.items()])

    def answers(self, count: int) -> list[list[str]]:
        """Name, best label and warning of each answer, once there are that many."""
        self.wait(lambda: self.text("#status").startswith(f"{count} picture"))
        return self.run(
            "return [...document.querySelectorAll('#answers li')].map(item => ['h3', '.best', '.warn'].map(part => "
            "item.querySelector(part).textContent))"
        )

    def faults(self) -> list[str]:
        """The serious findings of axe-core, which is evaluated as the debugger does, beyond the policy of the page."""
        if not AXE.exists():
            pytest.skip("axe-core is not installed: npm install --prefix .node axe-core@4")
        self.browser.execute_cdp_cmd("Runtime.evaluate", {"expression": AXE.read_text(encoding="utf-8")})
        found = self.browser.execute_cdp_cmd(
            "Runtime.evaluate",
            {
                "expression": "axe.run().then(r => JSON.stringify(r.violations))",
                "awaitPromise": True,
                "returnByValue": True,
            },
        )
        return [
            f"{one['id']}: {one['nodes'][0]['html']}"
            for one in json.loads(found["result"]["value"])
            if one["impact"] in ("serious", "critical", "moderate")
        ]

    def save(self, folder: Path, name: str) -> None:
        """Write a screenshot of the whole page, for a person to look at."""
        shot = self.browser.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True})["data"]
        place = Path(os.environ.get("PENNYWEIGHT_SCREENSHOTS", folder))
        (place / f"serve-{name}.png").write_bytes(base64.b64decode(shot))

    def asked(self) -> set[str]:
        events = [json.loads(entry["message"])["message"] for entry in self.browser.get_log("performance")]
        return {each["params"]["request"]["url"] for each in events if each["method"] == "Network.requestWillBeSent"}


@pytest.fixture
def page(browser: Any, client: Any) -> Iterator[Page]:
    found = Page(browser, client.address)
    yield found
    assert browser.get_log("browser") == []  # no complaint, and no breach of the policy
    others = [url for url in found.asked() if not url.startswith((client.address, "blob:", "data:"))]
    assert others == []


@pytest.mark.browser
def test_pictures_are_dropped_pasted_and_chosen(page: Page, picture_file: Callable[..., bytes], tmp_path: Path) -> None:
    page.open()
    page.send("drop", {"red.jpg": picture_file(RED, "JPEG"), "notes.txt": b"no picture at all"})
    red, bad = page.answers(2)
    assert red == ["red.jpg", "red", ""]
    assert bad[:2] == ["notes.txt", "No answer"]
    assert "it is text, not a picture that is read here" in bad[2]
    page.send("paste", {"image.png": picture_file(BLACK)})
    black, *_ = page.answers(3)
    assert "Unlike anything the network was taught (1.0% typical)" in black[2]
    names = []
    for number in range(7):
        names.append(tmp_path / f"{number}.png")
        names[-1].write_bytes(picture_file(BLUE))
    page.browser.find_element("id", "files").send_keys("\n".join(map(str, names)))
    assert [label for _, label, _ in page.answers(10)[:7]] == ["blue"] * 7
    assert page.run("return document.querySelectorAll('#answers li:first-child .bars dt').length") == 3
    assert "ms on the server" in page.text("#answers li .says .note")
    assert "90.0%" in page.text("#card")
    page.run("document.getElementById('clear').click()")
    assert page.text("#answers").strip() == ""


@pytest.mark.browser
def test_a_picture_is_taken_by_the_camera(page: Page) -> None:
    page.open()
    page.run("document.getElementById('camera').click()")
    page.wait(lambda: not page.run("return document.getElementById('shoot').disabled"))
    page.run("document.getElementById('shoot').click()")
    ((name, label, _),) = page.answers(1)
    assert (name, label) == ("camera.jpg", "green")  # of the browser's made picture
    assert page.run("return document.getElementById('video').srcObject.active") is False


@pytest.mark.browser
def test_a_real_photograph_has_its_label_first(
    browser: Any, serving: Callable[..., Any], real_data: Path, tmp_path: Path
) -> None:
    import pennyweight as pw

    weights = real_data / "weights" / "mobilenet_v1_x0_5-imagenet-tf_same-160.safetensors"
    bundle = pw.export("mobilenet_v1_x0_5", tmp_path / "mobilenet.onnx", weights=weights)
    photo = next(iter(sorted((real_data / "imagenet-photos" / "n02124075").glob("*.jpg"))))
    with serving([str(bundle.path)]) as client:
        page = Page(browser, client.address)
        for device, width in WIDTHS.items():
            page.open(width, "light" if device == "phone" else "dark")
            page.send("drop", {photo.name: photo.read_bytes()})
            assert page.answers(1)[0][1] == "Egyptian cat"
            page.save(tmp_path, f"photograph-{device}")
        assert browser.get_log("browser") == []


@pytest.mark.browser
def test_the_keyboard_alone_works(page: Page) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    page.open()
    page.run("document.getElementById('files').click = () => document.body.setAttribute('data-asked', 'yes')")
    reached = []
    for _ in range(12):
        page.browser.switch_to.active_element.send_keys(Keys.TAB)
        reached.append(page.run("return document.activeElement.id || document.activeElement.tagName"))
        if reached[-1] == "choose":
            ring = page.run("return getComputedStyle(document.activeElement).outlineStyle")
            assert ring == "solid"
            page.browser.switch_to.active_element.send_keys(Keys.ENTER)
        if reached[-1] == "SUMMARY":
            page.browser.switch_to.active_element.send_keys(Keys.ENTER)
        if reached[-1] == "find":
            page.browser.switch_to.active_element.send_keys("gre")
            break
    assert reached[:2] == ["choose", "camera"]
    assert reached[-1] == "find"
    assert page.run("return document.body.dataset.asked") == "yes"
    assert [each.text for each in page.browser.find_elements(By.CSS_SELECTOR, "#labels li")] == ["green"]


@pytest.mark.browser
def test_a_token_is_asked_for_and_kept_in_the_page(
    browser: Any, limited: Any, picture_file: Callable[..., bytes]
) -> None:
    page = Page(browser, limited.address)
    browser.get(limited.address)
    page.wait(lambda: not page.run("return document.getElementById('token').hidden"))
    assert page.text("#summary").startswith("send the token")
    browser.find_element("id", "secret").send_keys("a-token-of-letters\n")
    page.wait(lambda: "colors" in page.text("#summary"))
    assert page.run("return [...document.querySelectorAll('#model option')].map(o => o.value)") == ["colors", "other"]
    page.send("drop", {"red.png": picture_file(RED)})
    assert page.answers(1) == [["red.png", "red", ""]]
    assert page.run("return [localStorage.length, sessionStorage.length, document.cookie]") == [0, 0, ""]
    browser.get("about:blank")
    browser.get_log("browser")  # Chromium complains of each 401


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("device", WIDTHS)
def test_the_page_fits_and_can_be_used_by_everyone(
    page: Page, picture_file: Callable[..., bytes], tmp_path: Path, device: str, scheme: str
) -> None:
    page.open(WIDTHS[device], scheme)
    files = {"a_very_long_name_" * 6 + ".jpg": picture_file(RED, "JPEG", (500, 375)), "b.txt": b"text"}
    page.send("drop", {**files, "black.png": picture_file(BLACK, "PNG", (300, 600))})
    page.answers(3)
    inner, shown, whole = page.run(
        "return [innerWidth, document.documentElement.clientWidth, document.documentElement.scrollWidth]"
    )
    assert inner == WIDTHS[device]
    assert whole <= shown
    dark = page.run("return getComputedStyle(document.body).backgroundColor") == "rgb(23, 25, 28)"
    assert dark == (scheme == "dark")
    assert page.faults() == []
    page.save(tmp_path, f"{device}-{scheme}")
