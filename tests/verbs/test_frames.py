"""The whole picture: inputs and frames that suit the pictures' shapes, from training to the bundle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import pennyweight as pw
from pennyweight import data
from pennyweight.core.errors import InputError
from pennyweight.core.run_record import RunRecord
from pennyweight.data.checks.shortcuts import shortcuts
from pennyweight.verbs.fitting.framing import FramingRequest, as_framed
from pennyweight.verbs.fitting.plan import Plan, make_plan
from pennyweight.verbs.fitting.prepare import _seen_by_teacher
from pennyweight.verbs.load import preprocess_of

Sides = tuple[int, int]
NETWORK = "mobilenet_v1_x0_25"


def draw_pictures(root: Path, sides: Sequence[Sides], *, exif: Sequence[int] = (1,), seed: int = 0) -> Path:
    """Write pictures of these sides as they are seen, in two colors; stored turned by these EXIF orientations."""
    draw = np.random.default_rng(seed)
    turns = {1: 0, 3: 2, 6: 1, 8: 3}
    for number, (height, width) in enumerate(sides):
        color = ((200, 60, 60), (60, 60, 200))[number % 2]
        pixels = np.clip(draw.normal(color, 60, (height, width, 3)), 0, 255).astype(np.uint8)
        tag, orientation = Image.Exif(), exif[number % len(exif)]
        tag[0x0112] = orientation
        folder = root / ("red", "blue")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        stored = np.ascontiguousarray(np.rot90(pixels, turns[orientation]))
        Image.fromarray(stored).save(folder / f"{number:03d}.png", exif=tag)
    return root


def plan_of(root: Path, model: str = NETWORK, **options: Any) -> Plan:
    """The plan that `fit` decides before it trains."""
    source = data.open(root)
    asked: dict[str, Any] = {"recipe": {"epochs": 1}, "stem": None, "config": {}, "seed": 0, "weights": "none"}
    size, frame = options.pop("input_size", None), options.pop("frame", "auto")
    asked["framing"] = FramingRequest(size, frame, data.aspects_of(source.samples), len(source.samples))
    return make_plan(source, model, pictures=len(source.samples), **asked | options)


def told(plan: Plan) -> str:
    """The plan's lines about shapes."""
    return " | ".join(line for line in plan.why if "cut" in line or "crop" in line or "padded" in line)


@pytest.mark.parametrize(
    ("sides", "exif", "size", "frame", "line"),
    [
        ([(96, 400)] * 8, (1,), (112, 464), "crop", "a square would cut away 76% of the middle picture: input 112×464"),
        ([(400, 96)] * 8, (1,), (464, 112), "crop", "a square would cut away 76% of the middle picture: input 464×112"),
        ([(96, 400)] * 8, (1, 6, 8, 3), (112, 464), "crop", "input 112×464"),
        ([(96, 400)] * 19 + [(300, 70)], (1,), (112, 464), "crop", "1 of 20 pictures loses more than half"),
        ([(96, 400), (400, 96)] * 6, (1,), 224, "pad", "of the middle picture: whole pictures are padded to 224×224"),
        ([(20, 80)] * 8, (1,), (32, 128), "crop", "75% of the middle picture: input 32×128"),
        ([(90, 120)] * 8, (1, 6), 224, "crop", ""),
        ([(100, 150), (150, 100)] * 4, (1,), 224, "crop", ""),
        ([(24, 32)] * 8, (1,), 32, "crop", ""),
    ],
)
def test_the_shapes_decide(
    tmp_path: Path, sides: list[Sides], exif: tuple[int, ...], size: Any, frame: str, line: str
) -> None:
    plan = plan_of(draw_pictures(tmp_path / "pictures", sides, exif=exif))
    assert (plan.preprocess.size, plan.preprocess.frame) == (size, frame)
    assert line in told(plan)
    assert bool(line) == bool(told(plan))
    if not line:  # as in earlier versions
        assert plan.preprocess == pw.Preprocess.for_input(size, decoding="draft")
        assert "frame" not in plan.preprocess.to_dict()


@pytest.mark.parametrize(
    ("sides", "line"),
    [
        ([(24, 96)] * 20, "input 32×128; --frame crop cuts it all the same"),
        ([(24, 24)] * 17 + [(24, 96)] * 3, "--frame pad shows whole pictures"),
    ],
)
def test_a_line_on_shapes_says_whose_headers_were_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sides: list[Sides], line: str
) -> None:
    root, of_some = draw_pictures(tmp_path / "pictures", sides), "; seen in the headers of 18 of 20 pictures"
    assert told(plan_of(root)).endswith(line)
    monkeypatch.setattr("pennyweight.data.readers.contents.HEADERS", 18)
    assert told(plan_of(root)).endswith(f"{line}{of_some}")


@pytest.mark.parametrize(
    ("options", "size", "resize", "frame", "line"),
    [
        (
            {"frame": "crop"},
            224,
            256,
            "crop",
            "the crop cuts away 76% of the middle picture; --frame pad shows whole pictures",
        ),
        ({"frame": "pad"}, (112, 464), (112, 464), "pad", ""),
        ({"frame": "stretch"}, (112, 464), (112, 464), "stretch", ""),
        ({"frame": "stretch", "input_size": 96}, 96, 96, "stretch", ""),
        ({"input_size": 96}, 96, 96, "pad", "whole pictures are padded to 96×96"),
        ({"input_size": (96, 384)}, (96, 384), (96, 384), "crop", ""),
        ({"input_size": (384, 96)}, (384, 96), (384, 96), "pad", "384×96 would cut away 94% of the middle picture"),
        ({"input_size": 96, "frame": "crop"}, 96, 110, "crop", "cuts away 76%"),
    ],
)
def test_what_was_asked_for_stays(
    tmp_path: Path, options: dict[str, Any], size: Any, resize: Any, frame: str, line: str
) -> None:
    plan = plan_of(draw_pictures(tmp_path / "pictures", [(96, 400)] * 8), **options)
    found = plan.preprocess
    assert (found.size, found.resize, found.frame) == (size, resize, frame)
    assert line in told(plan)
    assert bool(line) == bool(told(plan))


@pytest.mark.parametrize(
    ("model", "size", "frame"),
    [
        ("vit_ti_16", (112, 464), "crop"),
        ("vit_b_32", (96, 416), "crop"),
        ("torchvision:vit_b_32", 224, "pad"),
        ("torchvision:mobilenet_v3_small", (96, 416), "crop"),
    ],
)
def test_a_network_gets_what_it_takes(tmp_path: Path, model: str, size: Any, frame: str) -> None:
    plan = plan_of(draw_pictures(tmp_path / "pictures", [(96, 400)] * 4), model)
    assert (plan.preprocess.size, plan.preprocess.frame) == (size, frame)
    if "vit" in model:
        assert plan.model["config"] in ({"size": size}, {"image_size": size})


MIXED = [(20, 80), (80, 20), (30, 40), (24, 90), (64, 16), (33, 33), (7, 50), (90, 31)]


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Splits with 64 test pictures of mixed shapes and orientations, some of them large JPEGs."""
    root = tmp_path_factory.mktemp("frames") / "mixed"
    for seed, (split, count) in enumerate((("train", 24), ("val", 8), ("test", 56))):
        draw_pictures(root / split, (MIXED * 7)[:count], exif=(1, 1, 6, 8, 3), seed=seed)
    draw = np.random.default_rng(1)
    for number in range(8):
        height, width = ((300, 900), (800, 250))[number % 2]
        pixels = draw.integers(0, 256, (height // 10, width // 10, 3), dtype=np.uint8)
        image = Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC)
        tag = Image.Exif()
        tag[0x0112] = (1, 6, 8, 3)[number % 4]
        image.save(root / "test" / ("red", "blue")[number % 2] / f"large-{number}.jpg", exif=tag)
    return root


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "frame"),
    [
        pytest.param((16, 48), "crop", id="crop"),
        pytest.param((24, 40), "pad", id="pad"),
        pytest.param(24, "pad", id="pad to a square"),
        pytest.param((16, 32), "stretch", id="stretch"),
    ],
)
def test_a_bundle_answers_as_its_network_on_pictures_of_mixed_shapes(
    tmp_path: Path, mixed: Path, fit_small: Callable[..., pw.Run], size: Any, frame: Any
) -> None:
    run = fit_small(mixed, out=tmp_path / "run", input_size=size, frame=frame, recipe={"epochs": 1, "batch": 8})
    preprocess = preprocess_of(run)
    assert (preprocess.size, preprocess.frame, preprocess.decoding) == (size, frame, "draft")
    bundle = pw.export(run)
    assert bundle.manifest.preprocess == preprocess
    assert bundle.manifest.parity["pictures"] == 64
    assert bundle.manifest.parity["of"] == "test split of mixed"
    paths = [sample.picture for sample in data.split(data.open(mixed)).test]
    expected = np.stack([preprocess(path) for path in paths])
    shown = pw.load(run).probabilities(expected)
    for trained in (run, bundle):
        answers = pw.load(trained).predict(paths)
        assert np.allclose([answer.probability for answer in answers], shown.max(axis=1), atol=1e-4)
        assert pw.evaluate(trained, mixed).accuracy == run.evaluation["accuracy"]
    assert pw.weigh(run).input_shape[1:] == preprocess.shape[:2]
    kept = data.Pictures(data.split(data.open(mixed)).test, preprocess)
    kept.read()
    assert np.array_equal(kept.pixels(np.arange(len(kept))), expected)


def test_a_resumed_run_keeps_its_frame_and_size() -> None:
    """Also a run that was begun before frames were chosen: its square is kept."""
    began = {"size": 16, "resize": 16, "channels": 3}
    record = RunRecord.__new__(RunRecord)
    object.__setattr__(record, "preprocess", began)
    assert as_framed(record, None, "auto") == (16, "crop")
    object.__setattr__(record, "preprocess", {**began, "size": [16, 48], "resize": [16, 48], "frame": "pad"})
    assert as_framed(record, None, "auto") == ((16, 48), "pad")
    assert as_framed(record, 32, "auto") == (32, "pad")
    assert as_framed(record, None, "pad") == ((16, 48), "pad")
    assert as_framed(record, None, "crop") == (None, "crop")
    assert as_framed(None, None, "auto") == (None, "auto")


@pytest.mark.slow
def test_a_run_of_long_pictures_resumes(
    tmp_path: Path, fit_small: Callable[..., pw.Run], stop_at: Callable[[int], None], capsys: pytest.CaptureFixture[str]
) -> None:
    root = draw_pictures(tmp_path / "pictures", [(20, 80)] * 40)
    options: dict[str, Any] = {"input_size": None, "out": tmp_path / "run", "save_minutes": 0, "progress": True}
    stop_at(3)
    with pytest.raises(KeyboardInterrupt):
        fit_small(root, **options)
    run = fit_small(root, **options, resume=True)
    assert preprocess_of(run).size == (32, 128)
    assert "a square would cut away 75% of the middle picture: input 32×128" in capsys.readouterr().err
    # Weights with a shape of their own keep it where it suits, and get another where it does not.
    more = plan_of(root, weights=run.folder)
    assert more.preprocess == preprocess_of(run)
    square = plan_of(draw_pictures(tmp_path / "squares", [(40, 40)] * 8), weights=run.folder)
    assert square.preprocess.size == 64
    assert "32×128 would cut away 75% of the middle picture: input 64×64" in told(square)


def test_growing_pictures_keep_their_shape(tmp_path: Path, fit_small: Callable[..., pw.Run]) -> None:
    seen: list[Sides] = []
    root = draw_pictures(tmp_path / "pictures", [(20, 80)] * 24)
    from pennyweight.train.trainer import Trainer

    resize = Trainer._resize

    def noting(self: Trainer, x: Any) -> Any:
        resized = resize(self, x)
        seen.append(tuple(resized.shape[2:]))
        return resized

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "_resize", noting)
        recipe = {"epochs": 4, "batch": 16, "first_size": 0.5}
        fit_small(root, input_size=(32, 128), out=tmp_path / "run", recipe=recipe)
    assert seen[0] == (16, 64)
    assert seen[-1] == (32, 128)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"frame": "fit"}, "frame is auto, crop, pad or stretch, not 'fit'"),
        ({"frame": "Letterbox"}, "frame is auto, crop, pad or stretch, not 'Letterbox'; did you mean 'pad'?"),
        ({"input_size": "wide"}, "or height x width, such as 96x384, not 'wide'"),
        ({"input_size": (0, 8)}, "at least 1 pixel per side, not 0x8"),
    ],
)
def test_what_is_no_frame_is_refused(shapes: Path, options: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as caught:
        pw.fit(shapes, NETWORK, progress=False, **options)
    assert said in str(caught.value)


SAME = {"size": 32, "resize": 32}


@pytest.mark.parametrize(
    ("theirs", "ours", "said"),
    [
        (SAME, SAME, ""),
        ({"size": 32, "resize": 36}, SAME, ""),
        ({"size": 224, "resize": 256}, SAME, "cropped pictures of 224; it sees the cropped ones of 32 enlarged, and"),
        (SAME, {"size": 64, "resize": 64}, "cropped pictures of 32; it sees the cropped ones of 64 reduced, and"),
        (SAME, {**SAME, "frame": "pad"}, "cropped pictures of 32; it sees the padded ones of 32, and"),
        ({**SAME, "frame": "stretch"}, SAME, "stretched pictures of 32; it sees the cropped ones of 32, and"),
        (SAME, {"size": (32, 128), "resize": (32, 128)}, "sees the cropped ones of 32×128 stretched to its shape, and"),
        (
            {"size": (16, 64), "resize": (16, 64)},
            {"size": (32, 128), "resize": (32, 128)},
            "cropped pictures of 16×64; it sees the cropped ones of 32×128 reduced, and",
        ),
    ],
)
def test_a_teacher_with_another_input_is_told_of(theirs: dict[str, Any], ours: dict[str, Any], said: str) -> None:
    line = _seen_by_teacher(pw.Preprocess(**theirs), pw.Preprocess(**ours))
    assert said in line
    assert bool(said) == bool(line)


@pytest.mark.slow
def test_a_teacher_of_another_shape_is_told_of(
    tmp_path: Path, fit_small: Callable[..., pw.Run], capsys: pytest.CaptureFixture[str]
) -> None:
    root = draw_pictures(tmp_path / "pictures", [(20, 80)] * 20)
    recipe = {"epochs": 1, "batch": 8}
    teacher = fit_small(root, out=tmp_path / "square", input_size=32, frame="crop", recipe=recipe)
    fit_small(root, out=tmp_path / "run", input_size=None, teacher=teacher.folder, recipe=recipe, progress=True)
    assert "it sees the cropped ones of 32×128 stretched to its shape, and" in capsys.readouterr().err


def test_published_weights_are_scored_in_another_shape_when_asked(tmp_path: Path, trained: pw.Run) -> None:
    loaded = pw.load(NETWORK, weights=trained.folder, input_size="16x48", config=dict(trained.info.model["config"]))
    assert loaded.preprocess.shape == (16, 48, 3)
    assert pw.load(trained).preprocess.shape == (16, 16, 3)


def test_a_score_of_pictures_that_the_crop_cuts_is_told_of(tmp_path: Path, trained: pw.Run) -> None:
    def told_of(sides: Sequence[Sides]) -> list[str]:
        root, told = draw_pictures(tmp_path / str(len(sides)), sides), list[str]()
        pw.evaluate(trained, root, note=told.append)
        return [line for line in told if "crop" in line]

    assert told_of([(24, 24)] * 4) == []
    assert told_of([(20, 80)] * 8) == ["the crop cuts away 75% of the middle picture; 8 is scored on the rest"]
    few = [(24, 24)] * 9 + [(20, 80)]
    assert told_of(few) == ["1 of 10 pictures loses more than half to the crop; 10 is scored on the rest"]


@pytest.mark.parametrize("frame", ["crop", "pad", "stretch"])
def test_every_kind_of_picture_is_framed_alike(tmp_path: Path, frame: Any) -> None:
    """Of colors, turned by EXIF, with a palette, transparent, gray, and of 16 bits: path, bytes, open file, Pillow."""
    preprocess = pw.Preprocess.for_input((16, 48), frame=frame)
    draw = np.random.default_rng(0)
    colors = Image.fromarray(draw.integers(0, 256, (20, 80, 3), dtype=np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    wide = Image.fromarray(draw.integers(0, 2**16, (20, 80), dtype=np.uint16))
    kinds = [
        colors,
        colors.rotate(90, expand=True),
        colors.quantize(16),
        colors.convert("RGBA"),
        colors.convert("L"),
        wide,
    ]
    for number, image in enumerate(kinds):
        path = tmp_path / f"{number}.png"
        image.save(path, **({"exif": exif} if number == 1 else {}))
        expected = preprocess(path)
        assert expected.shape == (16, 48, 3)
        with path.open("rb") as file, Image.open(path) as opened:
            for given in (path.read_bytes(), file, opened):
                assert np.array_equal(preprocess(given), expected)
        if number in (0, 4, 5):
            assert np.array_equal(preprocess(np.asarray(image)), expected)
    assert np.array_equal(preprocess(tmp_path / "1.png"), preprocess(tmp_path / "0.png"))


def test_a_difference_that_the_crop_cuts_away_is_said(
    tmp_path: Path,
    fit_small: Callable[..., pw.Run],
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A mark in the outer columns of 3:2 pictures; the reasons of the run are in its report."""
    draw = np.random.default_rng(0)
    for number in range(160):
        pixels = draw.normal(128, 25, (32, 48, 3))
        pixels[:, slice(0, 7) if number % 4 < 2 else slice(41, 48), 2 * (number % 2)] = 230
        path = tmp_path / "ends" / ("red", "blue")[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)
    monkeypatch.setattr("pennyweight.verbs.fitting.leaks.shortcuts", shortcuts)
    run = fit_small(tmp_path / "ends", out=tmp_path / "run", recipe={"epochs": 1, "batch": 32}, progress=True)
    said = " ".join(capfd.readouterr().err.split())
    assert "the crop cuts away 33% of the middle picture; --frame pad shows whole pictures" in said
    assert "the mean color tells the classes apart at 100.0%" in said
    assert "the network may have learned that" not in said
    page = Path(run.folder, "report.html").read_text()
    section = page[page.index("Pictures as the network sees them") : page.index("<h3>Training: ")]
    assert run.record["augmentation"]["notes"]
    for line in (*run.record["augmentation"]["notes"], *run.record["why"]):
        assert line[1:] in section
