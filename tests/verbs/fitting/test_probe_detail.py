"""The input of a training from scratch grows where small filters see more, and never by luck."""

import math
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pytest
from PIL import Image

import pennyweight as pw
from pennyweight.train import Ranks
from pennyweight.verbs.fitting.open import PictureFit, open_fit
from pennyweight.verbs.fitting.request import FitRequest

NETWORK = "mobilenet_v1_x0_25"
SIDE = 130
"""Pictures of this side have an input of 64 pixels in these tests, so that a trial takes a moment."""


@pytest.fixture(autouse=True)
def usual(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pennyweight.data.readers.input_size.PHOTO_SIZE", 64)


@pytest.fixture
def draw(tmp_path: Path) -> Callable[..., Path]:
    def make(kind: str, count: int = 34, height: int = SIDE, width: int = SIDE) -> Path:
        """Draw two classes: fine stripes or none, two colors, or no difference."""
        random = np.random.default_rng(0)
        for number in range(2 * count):
            other, pixels = number % 2, random.normal(128, 6, (height, width, 3))
            if kind == "stripes" and other:
                pixels[:, ::2] += 8
                pixels[:, 1::2] -= 8
            if kind == "colors":
                pixels[..., 0] += 90 * other
            label = tmp_path / kind / ("one", "two")[other]
            label.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(label / f"{number}.png", compress_level=1)
        return tmp_path / kind

    return make


@pytest.fixture
def see(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[int, float]], None]:
    """`see({64: 0.6, 128: 1.0})`: filters tell this share of red pictures apart at each of these scales."""
    random = np.random.default_rng(0)

    def see(known: dict[int, float]) -> None:
        def responses(pixels: np.ndarray) -> dict[int, np.ndarray]:
            side = len(pixels)
            label = float(pixels[side // 2, side // 2, 0] > 170)
            found = {each: label if random.random() < share else random.random() for each, share in known.items()}
            return {each: np.array([value]) for each, value in found.items() if each <= side}

        monkeypatch.setattr("pennyweight.verbs.fitting.probe_detail.filter_responses", responses)

    return see


def opened(source: Path, **options: Any) -> PictureFit:
    request = {"model": NETWORK, "weights": "none", "progress": False, **options}
    return open_fit(FitRequest(source=source, **request), perf_counter())


def lines_with(fitting: PictureFit, text: str) -> list[str]:
    return [line for line in fitting.plan.why if text in line]


def lines(fitting: PictureFit) -> list[str]:
    return lines_with(fitting, "small filters")


def test_detail_that_the_usual_size_loses_doubles_the_input(draw: Callable[..., Path]) -> None:
    found = opened(draw("stripes"))
    assert found.plan.preprocess.size == 128
    assert found.pictures["train"].preprocess.size == 128
    (line,) = lines(found)
    assert line.startswith("input 128: pictures have detail that 64 pixels lose, at 4 times the work; --input-size 64 ")
    assert "128 pixels 100.0%" in line


@pytest.mark.parametrize("kind", ["colors", "same"])
def test_other_pictures_keep_the_usual_size(draw: Callable[..., Path], kind: str) -> None:
    found = opened(draw(kind))
    assert found.plan.preprocess.size == 64
    assert len(lines(found)) == (kind == "same")
    assert all(line.startswith("input 64: more detail brings no more; ") for line in lines(found))


def test_a_gain_that_may_be_luck_is_told_and_not_taken(
    draw: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pennyweight.verbs.fitting.probe_detail.LUCK", 0.0)
    found = opened(draw("stripes"))
    assert found.plan.preprocess.size == 64
    (line,) = lines(found)
    assert line.startswith("input 64: more detail may help, at 4 times the work: --input-size 128; ")


def test_pictures_less_than_twice_as_large_are_not_tried(draw: Callable[..., Path]) -> None:
    found = opened(draw("stripes", height=127, width=127))
    assert found.plan.preprocess.size == 64
    assert not lines(found)


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"input_size": 64}, id="size asked for"),
        pytest.param({"recipe": {"mode": "finetune"}}, id="finetune", marks=pytest.mark.slow),
    ],
)
def test_no_trial_where_the_size_is_given(draw: Callable[..., Path], options: dict[str, Any]) -> None:
    found = opened(draw("stripes"), **options)
    assert found.plan.preprocess.size == 64
    assert not lines(found)


@pytest.mark.slow
def test_rectangles_double_too_and_the_line_on_the_frame_stays(draw: Callable[..., Path]) -> None:
    found = opened(draw("stripes", height=130, width=520))
    assert found.plan.preprocess.size == (128, 512)
    frame, detail = lines_with(found, "input ")
    assert "a square would cut away" in frame
    assert detail.startswith("input 128×512: pictures have detail that 64×256 pixels lose")
    assert "--input-size 64x256 spares it" in detail


@pytest.mark.slow
def test_long_pictures_that_are_padded_are_tried_by_the_scale_at_which_they_enter(
    draw: Callable[..., Path], see: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their short side is less than that of the input, and they are small: auto has a network for such pictures."""
    monkeypatch.setattr("pennyweight.data.framing.MOST_PIXELS", 64 * 64)
    see({64: 0.0, 128: 1.0})
    long = draw("colors", height=30, width=240)
    for path in [*long.rglob("*.png")][::2]:
        Image.open(path).transpose(Image.Transpose.ROTATE_90).save(path)
    options: dict[str, Any] = {"model": "auto", "weights": None, "recipe": {"epochs": 1}}
    found = opened(long, **options)
    assert (found.plan.preprocess.frame, found.plan.preprocess.size) == ("pad", 128)
    (line,) = lines(found)
    assert line.startswith("input 128: pictures have detail that 64 pixels lose")
    assert found.plan.model["name"] == "resnet_9_x0_25"
    assert found.plan.model["stem"] == "cifar"
    assert found.plan.checkpoint is None
    options |= {"out": tmp_path / "run", "progress": False}
    run = pw.fit(long, **options)
    assert pw.fit(long, resume=True, **options).folder == run.folder


@pytest.mark.slow
def test_another_rank_takes_the_first_ones_word(draw: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Its filters answer otherwise. All ranks exchange as many values, or one of them waits in vain."""
    stripes, said = draw("stripes"), []
    with monkeypatch.context() as first:
        first.setattr(Ranks, "gather", lambda self, value: said.append(value) or [value])
        first.setattr("pennyweight.verbs.fitting.probe_detail.ENOUGH", 0)
        assert opened(stripes, minutes=5).plan.preprocess.size == 128
    told = iter(said)
    monkeypatch.setattr(Ranks, "gather", lambda self, value: [next(told), value])
    monkeypatch.setattr("pennyweight.verbs.fitting.probe_detail.ENOUGH", 0)
    monkeypatch.setattr(
        "pennyweight.verbs.fitting.probe_detail.filter_responses",
        lambda pixels: {side: np.zeros(2) for side in (32, 64, 128)},
    )
    assert opened(stripes, minutes=5).plan.preprocess.size == 128
    assert not [*told]


@pytest.mark.slow
def test_first_weights_are_fetched_once(
    draw: Callable[..., Path], see: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fetch that failed is not tried again for the plan of another size, which would be another training."""
    tried = []

    def fetch(within_s: float) -> tuple[None, str]:
        tried.append(within_s)
        return None, "there is no connection"

    monkeypatch.setattr("pennyweight.data.readers.input_size.PHOTO_SIZE", 96)
    monkeypatch.setattr("pennyweight.verbs.fitting.first_weights._fetch", fetch)
    see({96: 0.0, 192: 1.0})
    found = opened(draw("colors", height=194, width=194), model="auto", weights=None)
    assert found.plan.preprocess.size == 192
    assert len(tried) == 1


@pytest.mark.slow
def test_few_minutes_keep_the_usual_size_and_say_that_more_detail_would_help(
    draw: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    stripes = draw("stripes")
    monkeypatch.setattr("pennyweight.verbs.fitting.probe_detail.ENOUGH", 0)
    assert opened(stripes, minutes=5).plan.preprocess.size == 128
    monkeypatch.setattr("pennyweight.verbs.fitting.probe_detail.ENOUGH", math.inf)
    found = opened(stripes, minutes=5)
    assert found.plan.preprocess.size == 64
    (line,) = lines(found)
    assert line.startswith("input 64: pictures have detail that 64 pixels lose, but only ")
    assert "--input-size 128 takes it all the same" in line


def test_a_network_of_one_size_keeps_it_and_says_so(draw: Callable[..., Path]) -> None:
    found = opened(draw("stripes"), model="vit_ti_16", config={"size": 64})
    assert found.plan.preprocess.size == 64
    (line,) = lines(found)
    assert "64 pixels lose, but vit_ti_16 takes no other size as it was configured" in line


@pytest.mark.slow
@pytest.mark.parametrize("frame", [{}, {"frame": "crop"}], ids=["auto", "crop"])
def test_a_resumed_run_keeps_the_size_that_it_began_with(
    draw: Callable[..., Path], tmp_path: Path, frame: dict[str, Any]
) -> None:
    stripes, recipe = draw("stripes"), {"epochs": 1}
    pw.fit(stripes, NETWORK, weights="none", recipe=recipe, out=tmp_path / "run", progress=False, **frame)
    assert pw.load(tmp_path / "run").preprocess.size == 128
    resumed = opened(stripes, recipe=recipe, resume=True, out=tmp_path / "run", **frame)
    assert resumed.plan.preprocess.size == 128
    assert not lines(resumed)


@pytest.mark.slow
def test_still_more_detail_is_told_and_not_taken(
    draw: Callable[..., Path], see: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    see({32: 0.0, 64: 0.6, 128: 1.0})
    monkeypatch.setattr("pennyweight.data.readers.input_size.PHOTO_SIZE", 32)
    found = opened(draw("colors", count=70))
    assert found.plan.preprocess.size == 64
    (line,) = lines(found)
    assert "128 pixels 100.0%; --input-size 128 has still more detail, at 16 times the work" in line
