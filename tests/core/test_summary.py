"""Results describe themselves in one short line and a small table, whatever strangers wrote into them."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from torch import nn

import pennyweight as pw
from pennyweight.core.manifest import Manifest
from pennyweight.core.prediction import Failure, Prediction
from pennyweight.core.preprocess import Preprocess
from pennyweight.core.run import Run, write_record
from pennyweight.core.scene_manifest import SceneManifest
from pennyweight.core.summary import Rows, Summary
from pennyweight.cost import MachineProfile, Timing, count
from pennyweight.cost.timing.machine_profile import make_profile
from pennyweight.cost.timing.roofline import Limits
from pennyweight.data.checks.diagnosis import Diagnosis, Finding
from pennyweight.data.scenes.rasters import Raster
from pennyweight.data.scenes.scene import Scene
from pennyweight.data.source import Sample, Source
from pennyweight.data.streams.stream import Stream
from pennyweight.lab import Measured
from pennyweight.runtime.classifier import Classifier
from pennyweight.runtime.scene_mapper import MASKED, SceneMap, TileEngine
from pennyweight.scoring.evaluation import Evaluation, score
from pennyweight.scoring.leakage import Leakage
from pennyweight.scoring.scene import SceneEvaluation, score_scene
from pennyweight.train import Recipe
from pennyweight.verbs.scenes.load import Mapper
from pennyweight.verbs.scenes.predict import Mapped

HOSTILE = "<script>alert(1)</script>\x1b[2J\u202e\n"
LONGEST_LINE = 500
LONGEST_TABLE = 3000


def run_of(folder: Path, name: str = "digits", *, finished: bool = True) -> Run:
    folder.mkdir(parents=True)
    record = {
        "model": {"name": "mobilenet_v2"},
        "data": {"source": name, "labels": [f"{name}{number}" for number in range(1000)]},
        "best": {"epoch": 7},
        "seconds": 200.4,
    }
    if finished:
        evaluation = {"split": "test", "images": 320, "accuracy": 0.975, "labels": record["data"]["labels"]}
        (folder / "evaluation.json").write_text(json.dumps(evaluation), encoding="utf-8")
    write_record(folder / "run.json", record, *[folder / "evaluation.json"] * finished)
    return Run(folder)


def evaluation_of(name: str = "digits") -> Evaluation:
    labels = [f"{name}{number}" for number in range(1000)]
    probabilities = np.eye(1000, dtype=np.float32) * 0.9 + 0.0001
    return score(probabilities, np.minimum(np.arange(1000), 998), labels=labels, source=name, split="test")


def scene_evaluation_of(name: str = "salinas") -> SceneEvaluation:
    counts = {"mean_training_pixels": 1, "mean_training_pixels_own_class": 0}
    leak = Leakage(window=9, test_windows=4, share=0.25, share_own_class=0, **counts)
    answers, truth = np.array([0, 1, 1, 1]), np.array([0, 1, 1, 0])
    return score_scene(answers, truth, labels=[name, "corn"], source=name, split="test", leakage=leak)


def classifier_of(name: str = "cat") -> Classifier:
    return Classifier(lambda pixels: pytest.fail("not called"), tuple([name] * 1000), Preprocess.for_input(32))


def prediction_of(name: str = "cat") -> Prediction:
    return Prediction(source=f"{name}.jpg", label=name, probability=0.9712, top=((name, 0.9712),) * 1000)


def timing_of(name: str = "torch 2.14, eager") -> Timing:
    return Timing(
        engine=name, median_ms=12.345, quartiles_ms=(12.1, 12.9), repeats=20, warm_up=3, threads=2, batch=1, drift=1.02
    )


def profile_of(name: str = "x86") -> MachineProfile:
    limits = Limits(
        macs_per_s={"float32": 1e11},
        bytes_per_s={"L1": 1e11, "memory": 2e10},
        level_bytes={"L1": 1000},
        overhead_s=1e-6,
    )
    profile = make_profile(limits, {})
    object.__setattr__(profile, "machine", {"processor": name})
    return profile


def diagnosis_of(name: str = "pets") -> Diagnosis:
    findings = tuple(Finding("duplicate", (name, name), name) for _ in range(1000))
    return Diagnosis(
        source=name, fingerprint="", counts={name: 12345, "b": 1}, splits=None, findings=findings, notes=(name,) * 1000
    )


def source_of(name: str = "pets") -> Source:
    samples = tuple(Sample(np.zeros((8, 8), np.uint8), 0, "0", None, name) for _ in range(1000))
    return Source(name=name, address=name, labels=(name, "b"), samples=samples, size=32)


def failure_of(name: str = "cat") -> Failure:
    return Failure(source=f"{name}.jpg", error=f"cannot read {name}.jpg: it is empty")


def manifest_of(name: str = "cat") -> Manifest:
    return Manifest(
        network={"name": "mobilenet_v2"},
        labels=tuple([name] * 1000),
        preprocess=Preprocess.for_input(32),
        cost={},
        evaluation={"split": "test", "images": 320, "accuracy": 0.975},
        parity={"pictures": 64},
        data=None,
        versions={},
        created="",
    )


def scene_manifest_of(name: str = "corn") -> SceneManifest:
    return SceneManifest(
        network={"name": "hybrid_sn"},
        labels=(name, "soy"),
        ids=(1, 2),
        form="windows",
        window=25,
        bands=200,
        evaluation={"split": "blocks", "pixels": 2838, "overall_accuracy": 0.9253},
        parity={"pixels": 2304},
        data={},
        versions={},
        created="",
    )


def mapper_of(name: str = "corn") -> Mapper:
    engine = TileEngine(lambda pixels: pytest.fail("not called"), window=25, bands=200)
    return Mapper(engine, (name, "soy"), (1, 2))


def mapped_of(name: str = "corn") -> Mapped:
    pixels = {f"{name}{number}": number for number in range(1000)}
    return Mapped(
        files=(f"{name}.png",), pixels=pixels, masked=500, mean_confidence=0.75, correct=3, labeled=4, scores=None,
        same_cube=None, training_pixels=None, unknown=(),
    )  # fmt: skip


def scene_of(name: str = "salinas") -> Scene:
    cube = np.zeros((3, 4, 200), np.float32)
    targets = np.full((3, 4), -1, np.int16)
    targets[0] = 0
    return Scene(name=name, address={}, raster=Raster(cube), targets=targets, labels=(name, "soy"), ids=(1, 2))


def map_of(name: str = "") -> SceneMap:
    return SceneMap(np.array([[0, 1, MASKED]], np.uint8), np.array([[0.5, 1, 0]], np.float32))


def measured_of(name: str = "1:1") -> Measured:
    return Measured(guideline="G1", label=name, macs=12345, traffic_bytes=12_300_000, ms=1.25, quartiles_ms=(1.2, 1.3))


class Deep(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(*(nn.Linear(8, 8) for _ in range(300)))


@pytest.fixture(scope="module")
def cost():
    return count(Deep(), (8,))


def test_a_run_in_a_line(tmp_path: Path) -> None:
    line = repr(run_of(tmp_path / "digits-1"))
    assert line.startswith("Run(folder: ")
    assert "network: mobilenet_v2; data: digits; classes: 1,000; test accuracy: 97.5% of 320 images" in line
    assert line.endswith("best epoch: 7; training time: 3 min 20 s)")
    assert repr(run_of(tmp_path / "digits-2", finished=False)).endswith("training has not finished)")


def test_a_run_that_cannot_be_read_says_why_and_raises_nothing(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run")
    run.record_path.write_text("[1")
    for shown in (repr(Run(run.folder)), Run(run.folder)._repr_html_()):
        assert str(run.folder) in shown or "…" in shown
        assert "cannot be read" in shown
    run.record_path.unlink()
    assert "cannot be read" in repr(Run.__new__(Run))


def test_an_evaluation_in_a_line() -> None:
    line = repr(evaluation_of())
    assert line.startswith(
        "Evaluation(accuracy: 99.9% (95% interval 99.4% to >99.9%); test images: 1,000; data: digits;"
    )
    assert "classes: 1,000" in line
    assert "overall accuracy: 75.00%" in repr(scene_evaluation_of())
    assert "test windows with training pixels: 25.0%" in repr(scene_evaluation_of())


def test_a_cost_and_its_layers_in_a_few_lines(cost) -> None:
    assert repr(cost).startswith("Cost(input: 8, batch 1; parameters: 21,600 (0.0864 MB); MACs: 19,200; ")
    assert repr(cost).endswith("layers: 300)")
    assert repr(cost.layers[3]) == "LayerCost(3 Linear; 8 to 8; parameters: 72; MACs: 64)"
    assert repr(cost.layers).count("\n") == 10
    assert repr(cost.layers).endswith("… and 290 more)")
    assert len(repr(cost.operations)) < 5000
    assert cost.layers == tuple(cost.layers)


def test_an_operator_that_was_not_counted_is_named() -> None:
    class Odd(nn.Module):
        def forward(self, x):
            return x.sort().values

    line = repr(count(Odd(), (8,)))
    assert "MACs: ≥ 0" in line
    assert "uncounted operators" in line
    assert "sort" in line


def test_a_classifier_and_a_prediction_in_a_line() -> None:
    assert repr(classifier_of()) == (
        "Classifier(engine: function; input: 3×32×32; 1,000 classes: cat, cat, cat, cat, cat, …)"
    )
    assert repr(prediction_of()) == (
        "Prediction(source: cat.jpg; cat: 97.1%; cat: 97.1%; cat: 97.1%; cat: 97.1%; cat: 97.1%; and 995 more)"
    )


def test_a_failure_in_a_line() -> None:
    assert repr(failure_of()) == "Failure(source: cat.jpg; error: cannot read cat.jpg: it is empty)"


def test_manifests_in_a_line() -> None:
    assert repr(manifest_of()) == (
        "Manifest(network: mobilenet_v2; input: 3×32×32; 1,000 classes: cat, cat, cat, cat, cat, …; "
        "test accuracy: 97.5% of 320 images; proved on: 64 images)"
    )
    assert repr(scene_manifest_of()) == (
        "SceneManifest(network: hybrid_sn; input: 200 bands, windows of 25×25; 2 classes: corn, soy; "
        "overall accuracy: 92.53% of 2,838 test pixels (blocks split); proved on: 2,304 pixels)"
    )


def test_a_scene_its_mapper_and_its_map_in_a_line() -> None:
    assert repr(scene_of()) == (
        "Scene(name: salinas; pixels: 3×4; bands: 200; labeled pixels: 4; 2 classes: salinas, soy)"
    )
    assert repr(mapper_of()) == ("Mapper(engine: TileEngine; input: 200 bands, windows of 25×25; 2 classes: corn, soy)")
    assert repr(map_of()) == "SceneMap(pixels: 1×3; classes found: 2; masked: 1; mean confidence: 75.0%)"
    line = repr(mapped_of())
    assert line.startswith("Mapped(pixels: 500,000; masked: 500; corn999: 999 pixels; corn998: 998 pixels; ")
    assert "; and 994 more; mean confidence: 75.0%; correct: 75.0% of 4 labeled pixels; " in line
    assert line.endswith("files: corn.png)")


def test_times_and_profiles_in_a_line() -> None:
    assert repr(timing_of()) == (
        "Timing(median: 12.35 ms; quartiles: 12.1–12.9 ms; engine: torch 2.14, eager; 20 repeats after 3 to warm up; "
        "batch 1, 2 threads; drift since the machine profile: 1.02)"
    )
    assert "processor: x86" in repr(profile_of())
    assert "peak rate: 200 G operations/s (float32); bandwidth: L1 100, memory 20 GB/s" in repr(profile_of())


def test_a_source_and_its_diagnosis_in_a_line() -> None:
    assert repr(source_of()) == "Source(name: pets; images: 1,000; classes: 2; without splits)"
    assert repr(diagnosis_of()) == "Diagnosis(data: pets; sound; images: 12,346; classes: 2; warning, duplicate: 1,000)"


class Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def results(folder: Path, name: str) -> list[Summary]:
    makers = (
        evaluation_of, scene_evaluation_of, classifier_of, prediction_of, timing_of, profile_of, diagnosis_of,
        source_of, failure_of, manifest_of, scene_manifest_of, mapper_of, mapped_of, scene_of, measured_of
    )  # fmt: skip
    return [run_of(folder / "run", name), *(make(name) for make in makers)]


def test_tables_escape_what_strangers_wrote_and_stay_small(tmp_path: Path) -> None:
    for result in results(tmp_path, HOSTILE):
        table = result._repr_html_()
        tags = Tags(table)
        assert tags.tags == {"table", "caption", "tbody", "tr", "th", "td"}
        assert "alert(1)" in tags.text, type(result)
        assert len(table) < LONGEST_TABLE
        line = repr(result)
        assert line.isprintable()
        assert len(line) < LONGEST_LINE


def test_a_name_without_end_is_cut_in_its_middle(tmp_path: Path) -> None:
    for result in results(tmp_path, "x" * 10_000):
        assert len(repr(result)) < 2 * LONGEST_LINE
        assert len(result._repr_html_()) < LONGEST_TABLE


def test_facts_of_the_line_stand_in_the_table(tmp_path: Path, cost) -> None:
    for result in (*results(tmp_path, "digits"), cost, cost.layers[3]):
        text = Tags(result._repr_html_()).text
        assert all(text_of in text for _, text_of in result._shown())


def result_types() -> set[type]:
    """Every class of ours that is public or that a public function returns, but the values that a person writes."""
    functions = [getattr(place, name) for place in (pw, pw.scene) for name in place.__all__]
    functions = [each for each in functions if not isinstance(each, ModuleType)]
    named = {word for each in functions for word in re.findall(r"\w+", str(each.__annotations__.get("return", "")))}
    public = {each for each in functions if isinstance(each, type) and not issubclass(each, Exception)}
    modules = [importlib.import_module(each.__module__) for each in functions]
    returned = {found for module in modules for name in named if isinstance(found := getattr(module, name, None), type)}
    return {each for each in public | returned if each.__module__.startswith("pennyweight.")} - {Preprocess, Recipe}


def test_every_result_of_a_public_function_has_a_table_for_notebooks() -> None:
    found = result_types()
    assert {Run, Mapped, Mapper, SceneEvaluation, Measured, Failure, Stream} <= found
    assert {each for each in found if not issubclass(each, Summary)} == set()


@pytest.mark.parametrize("value", [Preprocess.for_input(32), Recipe(epochs=3)])
def test_a_value_that_a_person_writes_shows_the_call_that_makes_it(value: object) -> None:
    assert eval(repr(value), {"Preprocess": Preprocess, "Recipe": Recipe}) == value


def test_rows_are_a_tuple() -> None:
    assert Rows([1, 2]) == (1, 2)
    assert repr(Rows([1, 2])) == "(1,\n 2)"
    assert json.dumps(Rows([1, 2])) == "[1, 2]"


def test_descriptions_load_neither_torch_nor_jinja() -> None:
    code = (
        "import sys\n"
        "import pennyweight.core.run, pennyweight.core.prediction, pennyweight.runtime.classifier\n"
        "from pennyweight.core.prediction import Prediction\n"
        "Prediction(source='a', label='b', probability=1.0, top=(('b', 1.0),))._repr_html_()\n"
        "print(sorted({'torch', 'jinja2', 'matplotlib', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
