"""Answers of the example page in a real browser, compared with those of `predict`.

    python benchmarks/browser.py BUNDLE… --pictures FOLDER [--most N]

It needs chromium, chromedriver and selenium, and `npm install --prefix .node onnxruntime-web wasm-vips`. For each
decoder of the page: pictures with the same label, the largest difference of a probability, pictures beyond 1e-4, and
the mean difference of the input in levels of 255. The page shows six decimals of a probability.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import threading
from base64 import b64decode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from selenium import webdriver
from selenium.webdriver.support.wait import WebDriverWait

import pennyweight as pw
from pennyweight.core.machine import machine, versions
from pennyweight.core.walk import Walk
from pennyweight.report.tables import Column, table

ROOT = Path(__file__).parents[1]
PACKAGES = {
    "onnxruntime-web": ("dist/ort.wasm.bundle.min.mjs", "dist/ort-wasm-simd-threaded.wasm"),
    "wasm-vips": ("lib/vips-es6.js", "lib/vips.wasm"),
}
DECODERS = ("vips", "browser")
HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cache-Control": "no-store",
}
PATIENCE_S = 600
TURN = 50
"""Pictures that are chosen on the page together."""
Rows = list[list[str]]
"""Name, label and probability of each picture, as the page shows them."""
ANSWERS = """
const rows = [...document.querySelectorAll("tr")].map((row) => [...row.cells].map((cell) => cell.textContent));
return document.querySelector("input").disabled ? [] : rows;
"""
PIXELS = """
const [number, done] = arguments, file = document.querySelector("input").files[number];
(async () => {
  const { decodeByBrowser, fit, manifestOf } = await import("./prepare.mjs");
  const { preprocess } = manifestOf(new Uint8Array(await (await fetch("model.onnx")).arrayBuffer()));
  const { pixels } = fit(await decodeByBrowser(file, preprocess), preprocess);
  return btoa(Array.from(pixels, (value) => String.fromCharCode(value)).join(""));
})().then(done);
"""


class Handler(SimpleHTTPRequestHandler):
    """Serves a folder with the headers that wasm-vips needs, and has the browser ask for each file again."""

    def end_headers(self) -> None:
        """Send the headers, too."""
        for name, value in HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, *arguments: object) -> None:
        """Print nothing."""


class Page:
    """Page of the example, which the loopback serves from a folder."""

    def __init__(self, browser: Any, folder: Path, address: str) -> None:
        self.browser, self.folder, self.address = browser, folder, address
        self.patiently = WebDriverWait(browser, PATIENCE_S)

    def answers(self, bundle: Path, pictures: Sequence[Path], decoder: str) -> Rows:
        """Choose the pictures as a person does, and return the rows of the table."""
        (self.folder / "model.onnx").unlink(missing_ok=True)
        (self.folder / "model.onnx").symlink_to(bundle.absolute())
        self.browser.get(f"{self.address}?decoder={decoder}")
        chooser = self.browser.find_element("css selector", "input")
        self.patiently.until(lambda _: chooser.is_enabled())
        chooser.send_keys("\n".join(str(each.absolute()) for each in pictures))
        rows: Rows = self.patiently.until(lambda _: self.browser.execute_script(ANSWERS))
        return rows

    def pixels(self, count: int) -> NDArray[np.uint8]:
        """Return the inputs that the page makes of its pictures with the browser's own decoder, (count, values)."""
        self.browser.set_script_timeout(PATIENCE_S)
        made = [b64decode(self.browser.execute_async_script(PIXELS, number)) for number in range(count)]
        return np.stack([np.frombuffer(each, np.uint8) for each in made])


@contextmanager
def served(browser: Any, folder: Path) -> Iterator[Page]:
    """Serve the page, its module and the files of the packages from a folder. Raises FileNotFoundError without them."""
    for package, files in PACKAGES.items():
        for file in files:
            place = ROOT / ".node" / "node_modules" / package / file
            if not place.exists():
                raise FileNotFoundError(f"{package} is not here: npm install --prefix .node {' '.join(PACKAGES)}")
            (folder / place.name).symlink_to(place)
    for name in ("classify.html", "prepare.mjs"):
        shutil.copy(ROOT / "examples" / name, folder)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield Page(browser, folder, f"http://127.0.0.1:{server.server_port}/classify.html")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def compared(page: Page, bundle: Path, pictures: list[Path]) -> Iterator[list[object]]:
    """Yield a row for each decoder of the page."""
    classifier = pw.load(bundle)
    expected = classifier.predict(pictures)
    own = np.stack([classifier.preprocess(each) for each in pictures]).reshape(len(pictures), -1).astype(int)
    for decoder in DECODERS:
        found, levels = Rows(), list[float]()
        for start in range(0, len(pictures), TURN):
            turn = pictures[start : start + TURN]
            found += page.answers(bundle, turn, decoder)
            if decoder == "browser":
                levels.append(float(np.abs(page.pixels(len(turn)) - own[start : start + TURN]).mean(1).sum()))
        right = [label == each.label for (_, label, _), each in zip(found, expected, strict=True)]
        apart = [abs(float(text) - each.probability) for (*_, text), each in zip(found, expected, strict=True)]
        most, beyond = f"{max(apart):.1e}", str(sum(each > 1e-4 for each in apart))
        mean = f"{sum(levels) / len(pictures):.4f}" if levels else "not compared"
        yield [bundle.name, decoder, f"{sum(right)} of {len(right)}", most, beyond, mean]


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundles", nargs="+", type=Path)
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--most", type=int)
    asked = parser.parse_args()
    pictures = list(Walk(asked.pictures).pictures())[: asked.most]
    options = webdriver.ChromeOptions()
    for flag in ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"):
        options.add_argument(flag)
    options.binary_location = shutil.which("chromium") or ""
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    print(f"{machine()}\n{versions()}\nChromium {browser.capabilities['browserVersion']}")
    try:
        with tempfile.TemporaryDirectory() as folder, served(browser, Path(folder)) as page:
            rows = [row for bundle in asked.bundles for row in compared(page, bundle, pictures)]
    finally:
        browser.quit()
    names = ("bundle", "decoder", "same label", "largest difference", "beyond 1e-4", "levels")
    Console(width=120).print(table(None, [Column(name) for name in names], rows))


if __name__ == "__main__":
    main()
