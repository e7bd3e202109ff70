"""The example page answers in a real browser as Pennyweight does, with onnxruntime-web and without conversion."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import pennyweight as pw

pytestmark = pytest.mark.browser

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "browser.py"
MadeOnce = Callable[[str, Callable[[Path], object]], Path]


@pytest.fixture
def page(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The page of the example, as the benchmark serves it."""
    spec = spec_from_file_location("browser_benchmark", BENCHMARK)
    assert spec is not None
    assert spec.loader is not None
    benchmark = module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    try:
        with benchmark.served(browser, tmp_path_factory.mktemp("site")) as served:
            yield served
    except FileNotFoundError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def bundles(published_bundle: Path, real_data: Path, made_once: MadeOnce) -> dict[str, Path]:
    """Published weights as a float bundle, and as an int8 bundle that a few photographs calibrated."""
    weights = real_data / "weights" / "mobilenet_v2-imagenet-tf_same-224.safetensors"

    def make(folder: Path) -> None:
        few = folder / "few"
        few.mkdir()
        for number, file in enumerate(sorted((real_data / "imagenet-photos").glob("*/*.jpg"))[:40]):
            (few / f"{number}.jpg").symlink_to(file)
        pw.export("mobilenet_v2", folder / "int8.onnx", weights=weights, int8=True, calibrate=str(few), max_drop=0.5)

    return {"float": published_bundle, "int8": made_once("int8-bundle", make) / "int8.onnx"}


@pytest.fixture
def pictures(real_data: Path) -> list[Path]:
    """Photographs of two sources."""
    found = sorted((real_data / "imagenet-photos").glob("*/*.jpg"))[::120]
    return [*found, *sorted((real_data / "cats-dogs" / "val").rglob("*.jpg"))[::60]]


def require_same(rows: list[list[str]], labels: Sequence[str], probabilities: Sequence[float]) -> None:
    """Fail unless the rows have the same labels, and probabilities within 1e-4."""
    assert [label for _, label, _ in rows] == list(labels)
    np.testing.assert_allclose([float(value) for *_, value in rows], probabilities, rtol=0, atol=1e-4)


@pytest.mark.parametrize("kind", ["float", "int8"])
def test_the_page_answers_as_predict_on_photographs(
    page: Any, bundles: dict[str, Path], pictures: list[Path], kind: str
) -> None:
    expected = pw.load(bundles[kind]).predict(pictures)
    rows = page.answers(bundles[kind], pictures, "vips")
    assert [name for name, *_ in rows] == [each.name for each in pictures]
    require_same(rows, [each.label for each in expected], [each.probability for each in expected])


@pytest.mark.parametrize("kind", ["float", "int8"])
def test_the_browsers_own_decoder_changes_few_pixels_and_the_engine_answers_as_here(
    page: Any, bundles: dict[str, Path], pictures: list[Path], kind: str
) -> None:
    rows, classifier = page.answers(bundles[kind], pictures, "browser"), pw.load(bundles[kind])
    made = page.pixels(len(pictures)).reshape(len(pictures), *classifier.preprocess.shape)
    own = np.stack([classifier.preprocess(each) for each in pictures])
    assert np.abs(made.astype(int) - own).mean() < 1  # of 255 levels
    probabilities = classifier.probabilities(made)
    labels = [classifier.labels[best] for best in probabilities.argmax(axis=1)]
    require_same(rows, labels, list(probabilities.max(axis=1)))


def test_a_file_that_is_no_picture_is_a_row_of_its_own(page: Any, bundles: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "damaged.jpg").write_bytes(b"no picture")
    ((name, reason),) = page.answers(bundles["float"], [tmp_path / "damaged.jpg"], "browser")
    assert name == "damaged.jpg"
    assert reason.startswith("cannot read: ")
    levels = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)
    Image.fromarray(levels).save(tmp_path / "deep.png")
    for decoder in ("browser", "vips"):  # 8 bits of 16 would be another picture
        assert page.answers(bundles["float"], [tmp_path / "deep.png"], decoder) == [
            ["deep.png", "cannot read: not 8-bit RGB or gray"]
        ]
