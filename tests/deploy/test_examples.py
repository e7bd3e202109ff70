"""The programs that use a bundle without Pennyweight answer as Pennyweight does."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from torch import nn

import pennyweight as pw
from pennyweight.core.manifest import Manifest
from pennyweight.core.preprocess import Preprocess
from pennyweight.deploy import export_bundle

ROOT = Path(__file__).parents[2]
NODE = ROOT / ".node"
PACKAGES = ("onnxruntime-node", "wasm-vips")
WAYS: list[dict[str, Any]] = [
    {"size": 28, "resize": 32, "decoding": "draft"},
    {"size": 32, "resize": 32, "channels": 1, "mean": (0.5,), "std": (0.5,)},
    {
        "size": (24, 60),
        "resize": (24, 60),
        "frame": "pad",
        "interpolation": "bicubic",
        "mean": (0.1, 0.5, 1.2),
        "decoding": "draft",
    },
    {"size": (60, 24), "resize": (66, 26), "frame": "stretch", "interpolation": "lanczos"},
]
TURNED = 6
"""EXIF orientation of a picture that was taken upright by a camera on its side."""


def photographs(folder: Path) -> list[Path]:
    """JPEGs of many shapes, one of them on its side, gray, and PNGs with a palette and with transparency."""
    draw = np.random.default_rng(0)
    made = []
    for number, (height, width) in enumerate([(150, 201), (201, 150), (333, 90), (70, 400), (61, 61), (40, 700)]):
        coarse = Image.fromarray(draw.integers(0, 256, (9, 9, 3), dtype=np.uint8))
        image = coarse.resize((width, height), Image.Resampling.BICUBIC)
        exif = Image.Exif()
        exif[0x0112] = TURNED if number % 3 == 1 else 1
        made.append(folder / f"{number}.jpg")
        image.save(made[-1], quality=85, exif=exif)
    image.convert("L").save(folder / "gray.jpg")
    image.quantize(16).save(folder / "palette.png")
    clear = image.convert("RGBA")
    clear.putalpha(image.convert("L"))
    clear.save(folder / "clear.png")
    return [*made, folder / "gray.jpg", folder / "palette.png", folder / "clear.png"]


@pytest.fixture(scope="module")
def prepare() -> Callable[..., np.ndarray]:
    spec = spec_from_file_location("classify", ROOT / "examples" / "classify.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    found: Callable[..., np.ndarray] = module.prepare
    return found


@pytest.mark.parametrize("how", WAYS, ids=lambda how: how.get("frame", f"crop {how.get('channels', 3)}"))
def test_python_prepares_pictures_to_the_same_bytes(
    prepare: Callable[..., np.ndarray], tmp_path: Path, how: dict[str, Any]
) -> None:
    for decoding in ("full", "draft"):
        preprocess = Preprocess(**{**how, "decoding": decoding})
        values = json.loads(json.dumps(preprocess.to_dict()))
        for picture in photographs(tmp_path):
            np.testing.assert_array_equal(prepare(picture, **values)[0], preprocess(picture), err_msg=picture.name)


Answers = dict[str, tuple[str, float]]
WHERE = "import openvino; print(openvino.__path__[0])"


def answers(printed: str) -> Answers:
    rows = (line.split("\t") for line in printed.splitlines())
    return {Path(file).name: (label, float(probability)) for file, label, probability in rows}


def by_python(bundle: Path, pictures: list[Path], folder: Path) -> Answers:
    program = [sys.executable, str(ROOT / "examples" / "classify.py"), str(bundle), *map(str, pictures)]
    return answers(subprocess.run(program, capture_output=True, text=True, check=True).stdout)


def by_node(bundle: Path, pictures: list[Path], folder: Path) -> Answers:
    """Run the JavaScript program; it finds its packages beside itself."""
    node = shutil.which("node")
    if node is None or not all((NODE / "node_modules" / name).is_dir() for name in PACKAGES):
        pytest.skip(f"node is not here with its packages: npm install --prefix .node {' '.join(PACKAGES)}")
    for name in ("classify.mjs", "prepare.mjs"):
        shutil.copy(ROOT / "examples" / name, folder)
    (folder / "node_modules").symlink_to(NODE / "node_modules")
    program = [node, str(folder / "classify.mjs"), str(bundle), *map(str, pictures)]
    return answers(subprocess.run(program, capture_output=True, text=True, check=True).stdout)


@pytest.fixture(scope="module")
def by_cpp(made_once: Callable[[str, Callable[[Path], object]], Path]) -> Callable[[Path, list[Path], Path], Answers]:
    """The C++ program, built once. It skips where a compiler, CMake, libjpeg, nlohmann-json or OpenVINO is not here."""
    if shutil.which("cmake") is None or shutil.which("c++") is None or find_spec("openvino") is None:
        pytest.skip("the C++ example needs cmake, c++ and the package openvino")

    def build(folder: Path) -> None:
        place = subprocess.run([sys.executable, "-c", WHERE], capture_output=True, text=True, check=True).stdout.strip()
        configure = ["cmake", "-S", str(ROOT / "examples" / "cpp"), "-B", str(folder), f"-DOpenVINO_DIR={place}/cmake"]
        if subprocess.run(configure, capture_output=True, check=False).returncode == 0:
            subprocess.run(["cmake", "--build", str(folder)], capture_output=True, check=True)

    program = made_once("classify-cpp", build) / "classify"
    if not program.exists():
        pytest.skip("the C++ example needs the packages libjpeg-dev and nlohmann-json3-dev")

    def answer(bundle: Path, pictures: list[Path], folder: Path) -> Answers:
        command = [str(program), str(bundle), *map(str, pictures)]
        return answers(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    return answer


@pytest.fixture(params=["python", "node", "c++"])
def program(request: pytest.FixtureRequest) -> Callable[[Path, list[Path], Path], Answers]:
    """A program that uses a bundle without Pennyweight."""
    if request.param == "c++":
        built: Callable[[Path, list[Path], Path], Answers] = request.getfixturevalue("by_cpp")
        return built
    return {"python": by_python, "node": by_node}[request.param]


def require_same(found: Answers, bundle: Path, pictures: list[Path]) -> None:
    expected = {Path(each.source).name: each for each in pw.load(bundle).predict(pictures)}
    assert found.keys() == expected.keys()
    for name, (label, probability) in found.items():
        assert label == expected[name].label, name
        assert probability == pytest.approx(expected[name].probability, abs=1e-4), name


@pytest.fixture(scope="module")
def bundles(real_data: Path, published_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Published weights, whose pictures are decoded whole, and a run, whose pictures are decoded at a scale."""
    folder = tmp_path_factory.mktemp("bundles")
    run = pw.fit(
        real_data / "cats-dogs",
        "mobilenet_v1_x0_25",
        out=folder / "run",
        weights="none",
        input_size=96,
        augment="keep",
        recipe={"epochs": 1},
    )
    return {"published": published_bundle, "draft": Path(pw.export(run))}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["published", "draft"])
def test_the_programs_answer_as_predict_on_photographs(
    bundles: dict[str, Path], real_data: Path, tmp_path: Path, kind: str, program: Callable[..., Any]
) -> None:
    pictures = sorted((real_data / "cats-dogs" / "val").rglob("*.jpg"))
    assert len(pictures) == 150
    require_same(program(bundles[kind], pictures, tmp_path), bundles[kind], pictures)


@pytest.mark.slow
@pytest.mark.parametrize("how", WAYS, ids=lambda how: how.get("frame", f"crop {how.get('channels', 3)}"))
def test_node_answers_as_predict_on_pictures_of_every_kind(
    make_network: Callable[[int], nn.Module],
    make_manifest: Callable[[int], Manifest],
    tmp_path: Path,
    how: dict[str, Any],
) -> None:
    channels = how.get("channels", 3)
    manifest = replace(make_manifest(channels), preprocess=Preprocess(**how))
    made = export_bundle(make_network(channels), tmp_path / "m.onnx", manifest, [], of="")
    pictures = photographs(tmp_path)
    require_same(by_node(made.path, pictures, tmp_path), made.path, pictures)


@pytest.mark.slow
@pytest.mark.parametrize("how", WAYS, ids=lambda how: how.get("frame", f"crop {how.get('channels', 3)}"))
def test_cpp_answers_as_predict_on_jpegs_of_every_kind(
    by_cpp: Callable[[Path, list[Path], Path], Answers],
    make_network: Callable[[int], nn.Module],
    make_manifest: Callable[[int], Manifest],
    tmp_path: Path,
    how: dict[str, Any],
) -> None:
    channels = how.get("channels", 3)
    manifest = replace(make_manifest(channels), preprocess=Preprocess(**how))
    made = export_bundle(make_network(channels), tmp_path / "m.onnx", manifest, [], of="")
    pictures = [picture for picture in photographs(tmp_path) if picture.suffix == ".jpg"]
    for number in range(2, 9):  # each way to hold a camera
        exif = Image.Exif()
        exif[0x0112] = number
        pictures.append(tmp_path / f"turned-{number}.jpg")
        Image.open(pictures[0]).save(pictures[-1], quality=90, exif=exif)
    require_same(by_cpp(made.path, pictures, tmp_path), made.path, pictures)


@pytest.mark.slow
def test_cpp_refuses_in_one_line(
    by_cpp: Callable[[Path, list[Path], Path], Answers], exported: Any, tmp_path: Path
) -> None:
    damaged = tmp_path / "damaged.jpg"
    damaged.write_bytes(b"\xff\xd8\xff\xe1\xff")
    model, gone = exported.bundle.path, tmp_path / "gone"
    for bundle, picture in [(model, damaged), (model, gone), (gone, damaged)]:
        with pytest.raises(subprocess.CalledProcessError) as raised:
            by_cpp(bundle, [picture], tmp_path)
        assert raised.value.returncode == 1
        (line,) = raised.value.stderr.splitlines()
        assert line.startswith(f"{gone if bundle == gone else picture}: ")
