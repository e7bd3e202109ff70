"""What the package promises as a whole: light imports and public names."""

import ast
import functools
import importlib
import json
import pickle
import pkgutil
import pydoc
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import pennyweight as pw
from pennyweight.core.extras import install_command
from pennyweight.core.manifest import METADATA_KEY, Manifest
from pennyweight.core.seal import seal

HEAVY = ("torch", "torchvision", "accelerate", "sklearn", "scipy", "matplotlib", "onnx", "safetensors")
PARTS = {*HEAVY, "jinja2", "onnxscript"}


def python(code: str, *arguments: object, **options: Any) -> "subprocess.CompletedProcess[str]":
    """Run `code` in an interpreter of its own, warnings as errors."""
    command = [sys.executable, "-W", "error", "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


@functools.cache
def modules_of(code: str, *arguments: object) -> frozenset[str]:
    """The modules that are loaded after `code`."""
    done = python(f"{code}\nimport sys; print('loaded', *sys.modules)", *arguments)
    assert done.returncode == 0, done.stderr
    return frozenset(done.stdout.splitlines()[-1].split()[1:])


def loaded_by(code: str, *arguments: object) -> set[str]:
    """The top-level modules that are loaded after `code`."""
    return {name.partition(".")[0] for name in modules_of(code, *arguments)}


# Light imports


def submodules(package: str) -> list[str]:
    module = importlib.import_module(package)
    return [package, *(found.name for found in pkgutil.walk_packages(module.__path__, f"{package}."))]


LIGHT = ["pennyweight", *(name for room in ("core", "runtime") for name in submodules(f"pennyweight.{room}"))]
EACH_IN_TURN = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
    heavy = {each.partition(".")[0] for each in sys.modules} & %r
    assert not heavy, f"{name} loads {heavy}"
""" % set(HEAVY)  # noqa: UP031 - braces stand in the code


def test_a_server_with_a_bundle_loads_nothing_of_training() -> None:
    """No module of the runtime does: what one of them loads, all of them together load too."""
    assert len(LIGHT) > 30
    assert {*LIGHT} <= modules_of(EACH_IN_TURN, *LIGHT)


def test_the_server_loads_nothing_of_training() -> None:
    names = submodules("pennyweight.serve")
    assert len(names) > 10
    assert {*names} <= modules_of(EACH_IN_TURN, *names)
    assert not loaded_by("import pennyweight.serve.server") & {"fastapi", "pydantic"}


def test_the_bare_package_loads_not_even_numpy() -> None:
    assert not loaded_by("import pennyweight; dir(pennyweight)") & {"numpy", "PIL", "rich", "typer"}


def count_loaded(code: str, *arguments: object) -> int:
    """Count the modules that `code` loads besides those that Python loads by itself."""
    return len(modules_of(code, *arguments)) - len(modules_of(""))


def test_imports_load_little_more_than_numpy_and_pillow() -> None:
    parts = count_loaded("import numpy, PIL.Image")
    assert count_loaded("import pennyweight; dir(pennyweight)") < parts / 2
    others = {name for name in modules_of(EACH_IN_TURN, *LIGHT) - modules_of("") if not name.startswith("pennyweight")}
    assert parts < len(others) < 1.65 * parts


SMALLEST_PROGRAM = """
import sys
import typer

app = typer.Typer()

@app.command()
def first(number: int) -> None:
    "Say a number."

@app.command()
def second(number: int) -> None:
    "Say another."

sys.argv = ["program", "--help"]
try:
    app()
except SystemExit:
    pass
"""


def test_help_loads_little_more_than_a_program_of_two_commands_and_no_arrays() -> None:
    code = "from pennyweight.cli import main; assert main(['--help']) == 0"
    assert count_loaded(code) < 1.25 * count_loaded(SMALLEST_PROGRAM)
    assert not loaded_by(code) & {*HEAVY, "numpy", "PIL", "onnxruntime"}


@pytest.mark.slow
def test_what_trains_is_imported_before_what_is_used_late_and_slow_to_import() -> None:
    """Scores, reports, ranks and torch's compiler are loaded when they are used, so that a refusal comes soon."""
    late = {"accelerate", "matplotlib", "pandas", "scipy", "sklearn", "torch._dynamo", "torchvision"}
    loaded = modules_of("import pennyweight.verbs.fit, pennyweight.verbs.evaluate, pennyweight.verbs.scenes.fit")
    assert "torch" in loaded
    assert not loaded & late


# A machine with the runtime alone

WITHOUT_PARTS = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in %r:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
""" % sorted(PARTS)  # noqa: UP031 - braces stand in the code


@pytest.fixture(scope="module")
def bundle_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that answers by brightness."""
    import onnx
    from onnx import TensorProto, helper

    nodes = [
        helper.make_node("Cast", ["images"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["float", "axes"], ["mean"], keepdims=0),
        helper.make_node("Sub", ["mean", "middle"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    shape = ["batch", 4, 4, 3]
    graph = helper.make_graph(
        nodes,
        "brightness",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 3]) for name in ("probabilities", "logits")],
        initializer=[
            helper.make_tensor("axes", TensorProto.INT64, [2], [1, 2]),
            helper.make_tensor("middle", TensorProto.FLOAT, [3], [0.0, 1.0, 2.0]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    manifest = Manifest(
        network={},
        labels=("first", "second", "third"),
        preprocess=pw.Preprocess(size=4, resize=4),
        cost={},
        evaluation=None,
        parity={},
        data={"name": "none", "fingerprint": ""},
        versions={},
        created="",
    )
    helper.set_model_props(model, {METADATA_KEY: manifest.to_json()})
    path = tmp_path_factory.mktemp("bundle") / "model.onnx"
    onnx.save(model, path)
    seal(path)
    return path


@pytest.fixture(scope="module")
def picture_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from PIL import Image

    path = tmp_path_factory.mktemp("picture") / "grey.png"
    Image.fromarray(np.full((9, 7, 3), 80, np.uint8)).save(path)
    return path


def test_predicting_with_a_bundle_loads_no_torch(bundle_file: Path, picture_file: Path) -> None:
    code = (
        "import sys; from pennyweight.cli import main; assert main(['predict', *sys.argv[1:]]) == 0",
        "import pennyweight as pw; pw.load(sys.argv[1]).predict(sys.argv[2])",
        "pw.Bundle(sys.argv[1]).classifier.predict(sys.argv[2])",
    )
    loaded = modules_of("\n".join(code), bundle_file, picture_file)
    assert not {name.partition(".")[0] for name in loaded} & {*HEAVY, "pyarrow"}
    unused = ("pennyweight.data.scenes", "pennyweight.data.streams", "pennyweight.data.readers.parquet")
    assert not [name for name in loaded if name.startswith(unused)]


def test_a_plain_prediction_loads_no_parser_and_nothing_that_draws(bundle_file: Path, picture_file: Path) -> None:
    code = "import sys; from pennyweight.cli import main; assert main(['predict', *sys.argv[1:]]) == 0"
    assert not loaded_by(code, bundle_file, picture_file, "--json") & {"typer", "pydantic", "rich"}
    assert not loaded_by(code, bundle_file, picture_file) & {"typer", "pydantic"}


COMMANDS_WITHOUT_PARTS = (
    WITHOUT_PARTS
    + """
import contextlib, io, json
from pennyweight.cli import main

for arguments in json.loads(sys.argv[1]):
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        status = main(arguments)
    print(json.dumps([status, out.getvalue(), err.getvalue()]))
"""
)


def test_where_torch_is_not_installed_a_bundle_works_and_what_is_missing_is_named(
    bundle_file: Path, picture_file: Path, tmp_path: Path
) -> None:
    commands = [
        ["predict", str(bundle_file), str(picture_file), "--json"],
        ["fit", "digits"],
        ["weigh", "mobilenet_v2"],
        ["names"],
        ["export", "."],
        ["evaluate", str(bundle_file), "digits"],
    ]
    done = python(COMMANDS_WITHOUT_PARTS, json.dumps(commands), cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    (status, out, err), *missing = map(json.loads, done.stdout.splitlines())
    assert (status, err) == (0, "")
    assert json.loads(out)["predictions"][0]["label"] == "first"
    for command, (status, out, err) in zip(commands[1:], missing, strict=True):
        assert (status, out) == (1, ""), command
        (line,) = err.splitlines()
        assert line.startswith("error: this needs "), command
        assert line.endswith(f"add it with: {install_command('train')}"), command
    assert list(tmp_path.iterdir()) == []


def test_from_python_it_is_an_error_of_ours() -> None:
    code = WITHOUT_PARTS + (
        "import pennyweight as pw\n"
        "for name in ('fit', 'weigh', 'create', 'export'):\n"
        "    try:\n"
        "        getattr(pw, name)\n"
        "    except pw.PennyweightError as error:\n"
        "        assert isinstance(error, ImportError)\n"
        "        print(type(error).__name__, error)\n"
        "pw.load, pw.Bundle, pw.Classifier, pw.Preprocess\n"
    )
    done = python(code)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert len(lines) == 4
    assert all(line.startswith("MissingPart this needs ") for line in lines)
    assert all(install_command("train") in line for line in lines)


# Public names


NAMESPACES = {"scene", "spark", "ray"}
"""Public names that are modules with functions of their own."""


def stub_names() -> dict[str, str]:
    """Name -> the module that the stub takes it from."""
    tree = ast.parse(Path(pw.__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
    return {
        (alias.asname or alias.name): f"pennyweight.{node.module}"
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def test_all_is_what_the_stub_names() -> None:
    assert sorted(pw.__all__) == sorted(stub_names())
    assert set(pw.__all__) <= set(dir(pw))


def test_no_other_name_is_public() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = pw.no_such_name  # type: ignore[attr-defined]


def test_the_version_is_the_installed_one() -> None:
    from importlib.metadata import version

    assert pw.__version__ == version("pennyweight")


def test_no_room_hides_a_public_name() -> None:
    """Importing a module sets it on its package; a room called like a verb would take the verb's place."""
    for found in pkgutil.walk_packages(pw.__path__, "pennyweight."):
        if not found.name.endswith("__main__"):
            importlib.import_module(found.name)
    assert pw.scene is sys.modules["pennyweight.scene"]
    for name in pw.scene.__all__:
        assert callable(getattr(pw.scene, name))
    for name, module in stub_names().items():
        value = getattr(pw, name)
        if name in NAMESPACES:
            assert all(callable(getattr(value, each)) for each in value.__all__ if each.islower())
            continue
        assert not isinstance(value, ModuleType)
        assert callable(value)
        assert value is getattr(importlib.import_module(module), name)


def test_the_functions_on_scenes_are_those_that_the_namespace_declares() -> None:
    tree = ast.parse(Path(str(pw.scene.__file__)).read_text(encoding="utf-8"))
    declared = {
        alias.asname or alias.name: (str(node.module).removeprefix("pennyweight."), alias.name)
        for checked in tree.body
        if isinstance(checked, ast.If)
        for node in checked.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    for name, (module, function) in declared.items():
        assert getattr(pw.scene, name) is getattr(importlib.import_module(f"pennyweight.{module}"), function)
    assert sorted(declared) == sorted(pw.scene.__all__) == sorted(dir(pw.scene))
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = pw.scene.no_such_name


@pytest.mark.parametrize("place", [pw, pw.scene], ids=["pennyweight", "pennyweight.scene"])
def test_a_public_name_is_the_name_that_help_and_a_pickle_know(place: ModuleType) -> None:
    for name in {*place.__all__} - NAMESPACES:
        value = getattr(place, name)
        assert (value.__name__, value.__qualname__) == (name, name)
        assert pickle.loads(pickle.dumps(value)) is value
        assert pydoc.render_doc(value, renderer=pydoc.plaintext).splitlines()[0].split(" in module ")[0].endswith(name)


@pytest.mark.parametrize("code", ["import pennyweight.scene", "import pennyweight as pw; pw.scene; dir(pw.scene)"])
def test_the_namespace_of_scenes_loads_no_torch(code: str) -> None:
    assert not loaded_by(code) & {*HEAVY, "numpy"}


def every_call_on_scenes(folder: Path) -> dict[str, Callable[[], Any]]:
    """A call of each function of `pw.scene`; `fit` makes the run that others use."""
    run, cube = folder / "scene-run", "scene:synthetic"
    scene, recipe = {"window": 3, "train": 5}, {"epochs": 1}
    options: dict[str, Any] = {"scene": scene, "recipe": recipe, "progress": False}
    return {
        "names": lambda: pw.scene.names("syn*"),
        "leakage": lambda: pw.scene.leakage(cube, window=3, train=5),
        "fit": lambda: pw.scene.fit(cube, "spectral_mlp", out=run, **options),
        "evaluate": lambda: pw.scene.evaluate(run),
        "export": lambda: pw.scene.export(run),
        "predict": lambda: pw.scene.predict(run, cube, map=folder / "map.png"),
        "load": lambda: pw.scene.load(run / "model.onnx").map(np.zeros((4, 4, pw.scene.load(run).engine.bands))),
        "fit_seeds": lambda: pw.scene.fit_seeds(cube, "spectral_mlp", seeds=2, out=folder / "scene-seeds", **options),
    }


def every_call(folder: Path, bundle: Path, pictures: Path) -> dict[str, Callable[[], Any]]:
    """A call of each public name; `fit` makes the run that others use."""
    run = folder / "run"
    picture = np.zeros((8, 8, 3), np.uint8)
    engine = pw.load(bundle).engine

    def stream_of_nothing() -> Exception:
        with pytest.raises(pw.PennyweightError, match=r"a\.tar: there is no such file") as raised:
            pw.Stream(str(folder / "{a,b}.tar"), pw.Preprocess(size=4, resize=4))
        return raised.value

    def bench_of_nothing() -> Exception:
        with pytest.raises(pw.PennyweightError, match="share must be above 0 and at most 1, not 0") as raised:
            pw.bench_machine(share=0)
        return raised.value

    def pick_of_nothing(function: Callable[..., Any], *given: Any, **settings: Any) -> Exception:
        with pytest.raises(pw.PennyweightError) as raised:
            function(*given, **settings)
        return raised.value

    def convert_for_nothing() -> Exception:
        with pytest.raises(pw.PennyweightError, match="unknown engine 'nothing'; there is ncnn") as raised:
            pw.convert(run, to="nothing")
        return raised.value

    return {
        "PennyweightError": lambda: pw.PennyweightError("one line"),
        "Preprocess": lambda: pw.Preprocess.for_input(32)(picture),
        "Recipe": lambda: pw.Recipe(epochs=3),
        "create": lambda: pw.create("mobilenet_v1_x0_25", num_classes=2),
        "load_weights": lambda: pw.load_weights(
            pw.create("mobilenet_v1_x0_25"), pw.create("mobilenet_v1_x0_25").state_dict()
        ),
        "names": lambda: pw.names("*v1*"),
        "weigh": lambda: pw.weigh("mobilenet_v1_x0_25", (3, 32, 32)),
        "weigh_all": lambda: pw.weigh_all(["mobilenet_v1_x0_25", "mobilenet_v2_x0_35"], (3, 32, 32))[0].to_dict(),
        "bench": lambda: pw.bench(bundle, engines="onnxruntime", repeats=2, fresh=False),
        "bench_machine": bench_of_nothing,
        "bench_engine": lambda: pick_of_nothing(pw.bench_engine, batch=0),
        "pick": lambda: pick_of_nothing(pw.pick, {"ms": 0}),
        "Picks": lambda: (
            pw.Picks(
                budget=pw.Budget(), conditions=None, machine={}, median_error=0.0, candidates=(), refused={}, notes=()
            ).ruled_out
        ),
        "EngineTimes": lambda: pick_of_nothing(pw.EngineTimes.read, folder / "no-such.json"),
        "Budget": lambda: pw.Budget.parse(ms="8").limits(),
        "Timings": lambda: pw.bench(bundle, engines="onnxruntime", repeats=2, fresh=False).to_dict(),
        "experiments": lambda: pw.experiments(repeats=2, side=2)[0].ms,
        "Cost": lambda: pw.Cost(**vars(pw.weigh("mobilenet_v1_x0_25", (3, 32, 32)))).to_dict(),
        "doctor": lambda: pw.doctor(pictures, quick=True).to_dict(),
        "pack": lambda: pw.pack(pictures, folder / "shards").to_dict(),
        "index": lambda: pw.index(folder / "shards").to_dict(),
        "Stream": stream_of_nothing,
        "fit": lambda: pw.fit(
            pictures,
            "mobilenet_v1_x0_25",
            config={"stages": [[32, 1, 1], [64, 1, 2]]},
            input_size=8,
            recipe={"epochs": 1, "batch": 8},
            out=run,
            progress=False,
        ),
        "fit_seeds": lambda: pw.fit_seeds(
            pictures,
            "mobilenet_v1_x0_25",
            config={"stages": [[32, 1, 1], [64, 1, 2]]},
            seeds=2,
            input_size=8,
            recipe={"epochs": 1, "batch": 8},
            out=folder / "seeds",
            progress=False,
        ),
        "Run": lambda: pw.Run(run).evaluation,
        "evaluate": lambda: pw.evaluate(run),
        "suggest": lambda: pw.suggest(run, new_picture(folder)).to_dict(),
        "Suggestions": lambda: pw.Suggestions(source="x", labels=("a",), pictures=(), considered=0, known=0).to_dict(),
        "review": lambda: pw.review(run).to_dict(),
        "Review": lambda: pw.Review(source="x", labels=("a", "b"), pictures=(), likely_errors=0).to_dict(),
        "compare": lambda: pw.compare([run, pw.export(run, folder / "compared.onnx").path]).networks,
        "Comparison": lambda: pw.Comparison(
            source="x", split="test", images=1, left_out={}, networks=(), differences=()
        ).to_dict(),
        "Evaluation": lambda: pw.Evaluation(
            **{
                name: () if name in ("per_class", "confusion", "labels") else 0
                for name in pw.Evaluation.__annotations__
            }
        ).to_dict(),
        "export": lambda: pw.export(run),
        "convert": convert_for_nothing,
        "Converted": lambda: pw.Converted(folder=folder, to="ncnn", manifest=pw.Bundle(bundle).manifest).bytes,
        "predict_parts": lambda: pw.predict_parts(bundle, folder / "no-such.png", folder / "parts"),
        "predict": lambda: list(pw.predict(bundle, [folder / "no-such.png"])),
        "Failure": lambda: pw.Failure(source="x.png", error="cannot read x.png: not found").to_dict(),
        "load": lambda: pw.load(run).predict(picture),
        "Bundle": lambda: pw.Bundle(bundle).manifest,
        "Classifier": lambda: pw.Classifier(engine, ("a", "b", "c"), pw.Preprocess(size=4, resize=4)).predict(picture),
        "Prediction": lambda: pw.Prediction(source="x", label="a", probability=1.0, top=(("a", 1.0),)).to_dict(),
    }


def new_picture(folder: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / "new.png")
    return folder / "new.png"


def test_every_public_name_is_called(tmp_path: Path, bundle_file: Path) -> None:
    """Call here what takes no time; the slow case below calls everything."""
    calls = every_call(tmp_path, bundle_file, tmp_path)
    assert {*calls, *NAMESPACES} == set(pw.__all__)
    assert set(every_call_on_scenes(tmp_path)) == set(pw.scene.__all__)
    for name in (
        "PennyweightError",
        "Preprocess",
        "Recipe",
        "Stream",
        "bench",
        "create",
        "load_weights",
        "names",
        "weigh",
    ):
        assert calls[name]() is not None, name


@pytest.mark.slow
def test_every_public_name_can_be_called(
    tmp_path: Path,
    bundle_file: Path,
    draw_folder: Callable[..., Path],
    few_trees: None,
    exported_once: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PENNYWEIGHT_CACHE", str(tmp_path / "cache"))
    pictures = draw_folder({"cats": 20, "dogs": 20}, side=16)
    calls, on_scenes = every_call(tmp_path, bundle_file, pictures), every_call_on_scenes(tmp_path)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for name, call in (*calls.items(), *on_scenes.items()):
            assert call() is not None, name
    finally:
        torch.set_num_threads(threads)
