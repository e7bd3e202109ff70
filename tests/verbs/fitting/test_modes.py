"""What `fit` trains when, from what, for how long; and how it goes on."""

import json
import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import pennyweight as pw
from pennyweight import data, zoo
from pennyweight.core.errors import InputError, PennyweightError, RunError
from pennyweight.core.files import read_json
from pennyweight.core.preprocess import Preprocess
from pennyweight.core.run import write_record
from pennyweight.nn.weights import read_weights, save_weights
from pennyweight.report.progress import Phase, TrainingProgress
from pennyweight.train import Ranks
from pennyweight.train.autotune import ORDER
from pennyweight.train.deadline import RESERVE, SPARE, Deadline
from pennyweight.train.time_budget import Pace
from pennyweight.verbs.fitting.auto_width import WIDTHS
from pennyweight.verbs.fitting.fit_seeds import fit_seeds
from pennyweight.verbs.fitting.framing import FramingRequest
from pennyweight.verbs.fitting.plan import make_plan
from pennyweight.verbs.fitting.prepare import prepare

Fit = Callable[..., pw.Run]


def changed(before: Path, after: Path) -> set[str]:
    """The first parts of the names of what differs."""
    one, two = read_weights(before), read_weights(after)
    return {key.split(".")[0] for key in one if not torch.equal(one[key], two[key])}


def lines(run: pw.Run) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run.metrics_path.read_text().splitlines()]


def test_with_weights_auto_trains_the_last_layer_and_says_why(
    trained: pw.Run,
    fit_small: Fit,
    shapes: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("PENNYWEIGHT_CACHE", str(tmp_path / "cache"))
    run = fit_small(
        shapes, model="auto", weights=trained.folder, input_size=None, recipe={}, out=tmp_path / "r", progress=True,
        speed="auto", minutes=1,
    )  # fmt: skip
    said = capfd.readouterr().err
    assert "network mobilenet_v1_x0_25: weights.safetensors names it in its metadata" in said
    assert "mode head: there are weights to start from, and a CPU trains the last layer in seconds" in said
    assert "the last layer takes seconds, so that its epochs are the same without --minutes" in said
    assert re.search(r"features of a few pictures: channels_last \w+ \d+ ms, channels_last \w+ \d+ ms\n", said)
    assert {way["precision"] for way in run.record["speed"]["ways"]} == {"float32", "bfloat16"}
    assert run.record["recipe_name"] == "probe"
    assert len(lines(run)) == 40
    assert changed(trained.weights_path, run.weights_path) == {"head"}
    scored = pw.evaluate(run, split="val")
    assert scored.accuracy == pytest.approx(run.record["best"]["val_accuracy"])


def test_finetune_trains_the_head_and_then_everything(
    trained: pw.Run, fit_small: Fit, shapes: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    recipe = {"mode": "finetune", "head_epochs": 2, "epochs": 3, "batch": 16}
    run = fit_small(shapes, weights=trained.folder, input_size=None, recipe=recipe, out=tmp_path / "run", progress=True)
    said = [line for line in capfd.readouterr().err.splitlines() if re.match(r"epoch \d/5", line)]
    assert ["left" in line for line in said] == [False, False, True, True, True]
    assert [line["epoch"] for line in lines(run)] == [1, 2, 3, 4, 5]
    assert run.record["recipe"]["rate_decay"] < 1
    best = max(lines(run), key=lambda line: (line["val_accuracy"], -line["val_loss"], -line["epoch"]))
    assert run.record["best"] == best
    if best["epoch"] > 2:
        assert changed(trained.weights_path, run.weights_path) == {"stem", "trunk", "head"}


def test_a_recipe_by_name_with_a_field_changed(fit_small: Fit, shapes: Path, tmp_path: Path) -> None:
    run = fit_small(shapes, recipe={"name": "classic-cifar", "epochs": "1"}, out=tmp_path / "run")
    recipe = run.record["recipe"]
    assert (recipe["optimizer"], recipe["lr"], recipe["epochs"], recipe["flip"]) == ("adam", 1e-3, 1, False)
    with pytest.raises(InputError, match="did you mean 'classic-cifar'"):
        fit_small(shapes, recipe={"name": "classic-cifer"}, out=tmp_path / "other")


def test_a_smaller_network_learns_from_a_run(trained: pw.Run, fit_small: Fit, shapes: Path, tmp_path: Path) -> None:
    alone = fit_small(shapes, out=tmp_path / "alone")
    taught = fit_small(shapes, teacher=trained.folder, out=tmp_path / "taught")
    assert taught.record["asked"]["teacher"] == str(trained.folder)
    assert changed(alone.weights_path, taught.weights_path)


@pytest.mark.slow
def test_with_weights_and_a_teacher_auto_takes_a_mode_that_has_pictures(
    trained: pw.Run, fit_small: Fit, shapes: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    options: dict[str, Any] = {"weights": trained.folder, "teacher": trained.folder, "input_size": None}
    run = fit_small(shapes, **options, recipe={"epochs": 1, "head_epochs": 1}, out=tmp_path / "run", progress=True)
    assert run.record["recipe"]["mode"] == "finetune"
    assert (
        "mode finetune: there are weights to start from, and a teacher, which needs pictures" in capfd.readouterr().err
    )
    fit_small(
        shapes, **options, recipe={"epochs": 1, "head_epochs": 1}, out=tmp_path / "run", progress=True, resume=True
    )
    assert capfd.readouterr().err.endswith(f"run {tmp_path / 'run'} is complete; nothing was changed\n")


@pytest.mark.slow
def test_fields_that_say_the_way_to_step_stay_with_minutes(
    fit_small: Fit, shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PENNYWEIGHT_CACHE", str(tmp_path / "cache"))
    long = Pace(steps=1, first_step_s=60.0, step_s=60.0, validation_s=0.0)
    monkeypatch.setattr("pennyweight.verbs.fitting.prepare.measure_pace", lambda *arguments, **options: long)
    recipe = {"layout": "channels_first", "precision": "float64", "batch": 16}
    run = fit_small(shapes, minutes=0.5, recipe=recipe, preflight=False, out=tmp_path / "run", progress=True)
    assert {name: run.record["recipe"][name] for name in recipe} == recipe
    (way,) = run.record["speed"]["ways"]
    assert (way["layout"], way["precision"]) == ("channels_first", "float64")
    said = capfd.readouterr().err
    assert "an epoch takes 60 s here: more than is left of --minutes, and one is trained all the same" in said


@pytest.mark.slow
def test_the_schedule_fits_the_time(fit_small: Fit, shapes: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("PENNYWEIGHT_CACHE", str(tmp_path / "cache"))
    run = fit_small(shapes, minutes=0.1, recipe={"batch": 16}, preflight=False, out=tmp_path / "run")
    measured = run.record["speed"]
    ways = [(way["layout"], way["precision"]) for way in measured["ways"]]
    assert ways
    assert ways == list(ORDER)[: len(ways)]  # as many as a tenth of the time is enough for
    epochs = run.record["recipe"]["epochs"]
    assert epochs == len(lines(run)) == max(1, int(epochs))
    assert epochs * measured["epoch_s"] < 6.0 or epochs == 1
    with pytest.raises(InputError, match="took all of --minutes"):
        fit_small(shapes, minutes=1e-6, recipe={"batch": 16}, out=tmp_path / "none")
    assert not (tmp_path / "none").exists()


@pytest.mark.slow
def test_a_schedule_fitted_anew_stands_in_the_record(
    fit_small: Fit, shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Five epochs are planned, and after two the machine leaves time for one more; the run then goes on by that."""
    pace = Pace(steps=1, first_step_s=1.0, step_s=1.0, validation_s=0.0)
    monkeypatch.setattr("pennyweight.verbs.fitting.prepare.measure_pace", lambda *arguments, **options: pace)
    monkeypatch.setattr(Deadline, "first", lambda self, recipe, before_s: replace(recipe, epochs=5))
    monkeypatch.setattr(
        Deadline, "fitted", lambda self, recipe, plan, done: plan.stretched(3, after=2) if done == 2 else plan
    )
    out = tmp_path / "run"
    options: dict[str, Any] = {"minutes": 60, "speed": "fixed", "preflight": False, "recipe": {"batch": 16}, "out": out}
    keep = TrainingProgress.epoch_finished

    def stopped(self: TrainingProgress, metrics: Any) -> None:
        keep(self, metrics)
        if metrics["epoch"] == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(TrainingProgress, "epoch_finished", stopped)
    with pytest.raises(KeyboardInterrupt):
        fit_small(shapes, **options, progress=True)
    monkeypatch.setattr(TrainingProgress, "epoch_finished", keep)
    assert "this machine got slower: 3 epochs in the time given, not 5" in capfd.readouterr().err
    assert pw.Run(out).record["recipe"]["stretches"] == [[2, 5]]
    record = pw.Run(out).record
    write_record(out / "run.json", record | {"recipe": record["recipe"] | {"epochs": 5, "stretches": []}})  # a kill
    run = fit_small(shapes, **options, resume=True)
    assert len(lines(run)) == run.record["recipe"]["epochs"] == 3
    assert run.record["recipe"]["stretches"] == [[2, 5]]
    whole = fit_small(shapes, recipe=run.record["recipe"], out=tmp_path / "whole")
    assert not changed(run.weights_path, whole.weights_path)


def test_the_time_is_shared_with_the_features(shapes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Validation takes 100 s, the test split as long; training has four times its pictures."""
    pace = Pace(steps=1, first_step_s=100.0, step_s=100.0, validation_s=100.0)
    monkeypatch.setattr("pennyweight.verbs.fitting.prepare.measure_pace", lambda *arguments, **options: pace)
    source = data.open(str(shapes))
    plan = make_plan(
        source, "mobilenet_v1_x0_25", pictures=80, recipe={"mode": "finetune"}, framing=FramingRequest(16),
        stem=None, config={}, weights=None, seed=0,
    )  # fmt: skip
    parts = {"train": source.samples[:80], "val": source.samples[80:100], "test": source.samples[100:]}
    pictures = {name: data.Pictures(samples, plan.preprocess) for name, samples in parts.items()}
    settled, _, _ = prepare(
        plan, plan.make()[0], pictures, ranks=Ranks(), teacher=None, left_s=100_150.0, speed="fixed", preflight=False,
        note=lambda line: None,
    )  # fmt: skip
    assert settled.recipe.epochs == int(((100_150 - 100) * (1 - RESERVE - SPARE) - 500) / 200)


@pytest.mark.parametrize(
    ("model", "recipe"), [("vgg11", "careful"), ("vgg11_bn", "quick"), ("vit_ti_16", "careful"), ("resnet_9", "sprint")]
)
def test_networks_without_batch_norm_are_trained_with_care(model: str, recipe: str) -> None:
    made = make_plan(
        data.open("digits"), model, pictures=40_000, recipe=None, framing=FramingRequest(32), stem=None,
        config={}, weights=None, seed=0,
    )  # fmt: skip
    assert made.recipe_name == recipe
    assert any(line.startswith(f"recipe {recipe}: ") for line in made.why)


@pytest.mark.parametrize(("batch_norm", "recipe"), [(False, "careful"), (True, "quick")])
@pytest.mark.parametrize("model", ["auto", "vgg11"])
def test_the_network_that_weights_name_says_which_recipe(
    model: str, batch_norm: bool, recipe: str, tmp_path: Path
) -> None:
    config = {"batch_norm": batch_norm, "blocks": [1] * 5, "channels": [8] * 5}
    resolved = {"name": "vgg11", "num_classes": 10, "in_channels": 1, "stem": "cifar", "config": config}
    said = zoo.describe(
        model=resolved, preprocess=Preprocess.for_input(32, channels=1), labels=[str(n) for n in range(10)], data={}
    )
    save_weights(tmp_path / "w.safetensors", zoo.build(**resolved), said)
    made = make_plan(
        data.open("digits"), model, pictures=40_000, recipe={"mode": "scratch"}, framing=FramingRequest(),
        stem=None, config={}, weights=tmp_path / "w.safetensors", seed=0,
    )  # fmt: skip
    assert made.model["name"] == "vgg11"
    assert made.recipe_name == recipe


def test_depth_is_stochastic_where_the_network_has_it(fit_small: Fit, shapes: Path, tmp_path: Path) -> None:
    small = {"model": "resnet_9_x0_25", "config": {"width": 0.1}}
    run = fit_small(shapes, **small, recipe={"epochs": 1, "drop_path": 0.3}, out=tmp_path / "run")
    assert run.record["model"]["config"] == {"drop_path": 0.3, "width": 0.1}
    with pytest.raises(InputError, match=r"field 'drop_path' is for .* such as resnet18: mobilenet_v1_x0_25 has"):
        fit_small(shapes, recipe={"epochs": 1, "drop_path": 0.3}, out=tmp_path / "none")
    with pytest.raises(InputError, match=r"recipe field 'drop_path' .* not for torchvision:resnet18: --config"):
        fit_small(shapes, model="torchvision:resnet18", recipe={"drop_path": 0.3}, out=tmp_path / "none")


def test_several_seeds(fit_small: Fit, shapes: Path, tmp_path: Path) -> None:
    small: dict[str, Any] = {"model": "mobilenet_v1_x0_25", "input_size": 16, "progress": False}
    found = fit_seeds(shapes, **small, seeds=2, seed=3, recipe={"epochs": 1}, out=tmp_path / "several")
    assert set(found["accuracies"]) == {"3", "4"}
    one, two = found["accuracies"].values()
    assert found["mean"] == pytest.approx((one + two) / 2)
    assert found["deviation"] == pytest.approx(abs(one - two) / 2**0.5)
    assert json.loads((tmp_path / "several" / "seeds.json").read_text()) == found
    assert pw.Run(tmp_path / "several" / "seed-3").record["seed"] == 3


def test_several_seeds_keep_groups_and_network_together(
    shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[data.Source] = []
    models = []

    began = SimpleNamespace(network=WIDTHS[1], networks=None, preprocess=None, augmentation=None)

    def fit(source: data.Source, model: str, *, out: Path, **options: Any) -> Any:
        out.parent.mkdir(exist_ok=True)
        assert "group_by" not in options
        opened.append(source)
        models.append(model)
        return SimpleNamespace(evaluation={"split": "test", "accuracy": 0.5}, info=began)

    monkeypatch.setattr("pennyweight.verbs.fitting.fit_seeds.fit", fit)
    fit_seeds(shapes, seeds=2, group_by="(-0[0-9])", out=tmp_path / "several")
    assert opened == [data.open(str(shapes), group_by="(-0[0-9])")] * 2
    assert models == ["auto", WIDTHS[1]]  # what was chosen for the first, for the others too


@pytest.mark.slow
def test_a_signal_ends_the_features_at_once_and_they_go_on(
    trained: pw.Run, fit_small: Fit, shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    out, seen = tmp_path / "run", []
    options: dict[str, Any] = {"weights": trained.folder, "input_size": None, "recipe": {"mode": "head"}}
    whole = fit_small(shapes, **options, out=tmp_path / "whole")

    def advance(self: Phase, n: int = 1) -> None:
        if self.name == "features of train":
            seen.append(n)
            if len(seen) == 2:
                signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Phase, "advance", advance)
    with pytest.raises(KeyboardInterrupt):
        fit_small(shapes, **options, out=out, progress=True)
    assert len(seen) == 2
    assert f"saved in {out}; the same command with --resume (or resume=True) continues it" in capfd.readouterr().err
    seen[:] = [0, 0]  # no signal any more
    run = fit_small(shapes, **options, out=out, resume=True, progress=True)
    assert f"run {out}: resumes" in capfd.readouterr().err
    assert seen[2] == 32
    assert sum(seen) == whole.record["data"]["counts"]["train"]
    assert not changed(run.weights_path, whole.weights_path)
    assert not (out / "features").exists()


def test_several_seeds_on_several_ranks_are_refused(
    shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Two(Ranks):
        def __init__(self, wait: float) -> None:
            super().__init__(wait)
            self.count = 2

    monkeypatch.setattr("pennyweight.verbs.fitting.fit_seeds.Ranks", Two)
    with pytest.raises(InputError, match=r"several ranks \(2\) train one run.*give each seed a torchrun of its own"):
        fit_seeds(shapes, seeds=2, out=tmp_path / "several")
    assert not (tmp_path / "several").exists()


# Going on


@pytest.mark.parametrize(
    ("mode", "step"),
    [
        ("finetune", 9),
        *(pytest.param(*case, marks=pytest.mark.slow) for case in (("finetune", 2), ("scratch", 2), ("scratch", 9))),
    ],
)
def test_the_same_call_goes_on_and_ends_with_the_same_bits(
    trained: pw.Run, fit_small: Fit, shapes: Path, tmp_path: Path, stop_at: Callable[[int], None], mode: str, step: int
) -> None:
    recipe = {"mode": mode, "epochs": 2, "batch": 16} | ({"head_epochs": 1} if mode == "finetune" else {})
    options: dict[str, Any] = {"weights": trained.folder, "input_size": None, "recipe": recipe}
    whole = fit_small(shapes, out=tmp_path / "whole", **options)
    stop_at(step)
    with pytest.raises(KeyboardInterrupt):
        fit_small(shapes, out=tmp_path / "parts", resume=True, **options)
    stop_at(10**9)
    assert pw.Run(tmp_path / "parts").record["status"] == "training"
    with pytest.raises(RunError, match=r"made by another command: recipe lr was 0\.\S+ and is 0\.5 now; resume"):
        fit_small(shapes, out=tmp_path / "parts", resume=True, **{**options, "recipe": {**recipe, "lr": 0.5}})
    parts = fit_small(shapes, out=tmp_path / "parts", resume=True, **options)
    assert changed(whole.weights_path, parts.weights_path) == set()
    assert parts.evaluation == whole.evaluation
    assert [line["val_loss"] for line in lines(parts)] == [line["val_loss"] for line in lines(whole)]
    assert fit_small(shapes, out=tmp_path / "parts", resume=True, **options).record == parts.record  # nothing is left


@pytest.mark.slow
def test_a_run_does_not_go_on_with_other_weights_of_the_same_name(
    trained: pw.Run, fit_small: Fit, shapes: Path, tmp_path: Path, stop_at: Callable[[int], None]
) -> None:
    given = tmp_path / "given"
    shutil.copytree(trained.folder, given)
    options: dict[str, Any] = {"weights": given, "teacher": given, "recipe": {"mode": "scratch"}, "input_size": None}
    stop_at(1)
    with pytest.raises(KeyboardInterrupt):
        fit_small(shapes, out=tmp_path / "run", **options)
    file = given / "weights.safetensors"
    file.write_bytes(file.read_bytes()[:-4] + bytes(4))
    write_record(given / "run.json", read_json(given / "run.json"), file)
    weights, teacher = (rf"sha256 {of} was \w{{64}} and is \w{{64}} now" for of in ("weights", "teacher"))
    with pytest.raises(RunError, match=f"made by another command: {weights}, {teacher}; resume"):
        fit_small(shapes, out=tmp_path / "run", resume=True, **options)


def test_a_run_of_an_earlier_version_whose_defaults_were_others_is_named_so(
    fit_small: Fit, shapes: Path, tmp_path: Path, stop_at: Callable[[int], None]
) -> None:
    stop_at(1)
    with pytest.raises(KeyboardInterrupt):
        fit_small(shapes, out=tmp_path / "run")
    file = tmp_path / "run" / "run.json"
    record = read_json(file)
    record["versions"]["pennyweight"] = "0.0.1"
    record["asked"]["recipe"]["lr"] = 0.123
    write_record(file, record)
    with pytest.raises(RunError, match=r"made by Pennyweight 0\.0\.1: recipe lr was 0\.123 and is 0\.\S+ now; resume"):
        fit_small(shapes, out=tmp_path / "run", resume=True)


def test_a_run_killed_before_its_first_file_was_whole_begins(fit_small: Fit, shapes: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / ".run.4711.0123abcd.tmp.json").touch()
    (folder / "seen.npy").touch()
    run = fit_small(shapes, recipe={"epochs": 1}, out=folder, resume=True)
    assert run.record["status"] == "complete"
    assert not list(folder.glob(".*"))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").touch()
    with pytest.raises(RunError, match=r"is not a run: it has no run\.json"):
        fit_small(shapes, recipe={"epochs": 1}, out=tmp_path / "other", resume=True)


def test_a_resume_on_other_versions_and_of_damaged_checkpoints_is_said(
    fit_small: Fit, shapes: Path, tmp_path: Path, stop_at: Callable[[int], None], capfd: pytest.CaptureFixture[str]
) -> None:
    stop_at(3)
    with pytest.raises(KeyboardInterrupt):
        fit_small(shapes, out=tmp_path / "run", progress=True)
    assert "the same command with --resume (or resume=True) continues it" in capfd.readouterr().err
    stop_at(10**9)
    path = tmp_path / "run" / "run.json"
    record = read_json(path)
    record["versions"]["torch"] = "1.0"
    record["machine"] |= {"threads": 64, "ranks": 2, "onednn": False, "accelerator": "Abacus"}
    write_record(path, record)
    for checkpoint in (tmp_path / "run" / "checkpoints").glob("*.pt"):
        checkpoint.write_bytes(b"")
    (tmp_path / "run" / ".metrics.4711.0123abcd.tmp.jsonl").touch()
    fit_small(shapes, out=tmp_path / "run", resume=True, progress=True)
    assert not list((tmp_path / "run").glob(".*"))
    said = capfd.readouterr().err
    assert "torch was 1.0 and is" in said
    assert said.count("none is whole, and training begins again") == said.count("damaged") == 1
    assert "run: nothing to resume; training starts at the first epoch" in said
    assert "threads was 64 and is 1 now" in said
    assert "ranks was 2 and is 1 now" in said
    assert "onednn was False and is True now" in said
    assert "accelerator was Abacus and is " in said


def test_a_loss_that_is_no_number_loses_nothing_that_was_kept(
    fit_small: Fit, shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pennyweight.train.trainer import Trainer

    step = Trainer.step

    def breaking(self: Trainer, *arguments: Any) -> tuple[float, float]:
        loss, right = step(self, *arguments)
        return (float("nan") if len(self.progress.history) == 1 else loss), right

    monkeypatch.setattr(Trainer, "step", breaking)
    with pytest.raises(PennyweightError, match=r"the loss became nan in epoch 2; try a smaller rate: --set lr="):
        fit_small(shapes, out=tmp_path / "run")
    assert len(lines(pw.Run(tmp_path / "run"))) == 1
    assert pw.load(tmp_path / "run").labels


def test_a_step_that_memory_does_not_hold(
    fit_small: Fit, shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pennyweight.train.trainer import Trainer

    def too_much(self: Trainer, *arguments: Any) -> tuple[float, float]:
        torch.empty(1 << 60)
        raise AssertionError

    monkeypatch.setattr(Trainer, "_gradients", too_much)
    with pytest.raises(
        InputError, match=r"out of memory: a step of \d+ pictures in 1 part does not fit; --set accumulate=2"
    ):
        fit_small(shapes, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


# What holds it back


def test_a_loader_that_holds_training_back_is_said_with_what_helps(
    fit_small: Fit,
    shapes: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    prefetch = data.Pictures._prefetch

    def slow(self: data.Pictures, *arguments: Any) -> Iterator[data.Batch]:
        for batch in prefetch(self, *arguments):
            time.sleep(0.1)
            yield batch

    monkeypatch.setattr(data.Pictures, "_prefetch", slow)
    fit_small(shapes, out=tmp_path / "run", progress=True, recipe={"epochs": 2, "batch": 64, "policy": "trivial"})
    said = re.findall(r"data loading is the bottleneck: (\d+)% of an epoch .*: (.*)", capfd.readouterr().err)
    ((share, helps),) = said
    assert 30 < int(share) <= 100
    assert helps == "--set policy=none, more cores, or a smaller --input"


@pytest.mark.parametrize(
    ("most", "fewest", "said"),
    [(40, 9, "rare classes weigh more in the loss"), (90, 5, "each class is shown equally often")],
)
def test_what_is_done_about_unequal_classes_is_said(
    fit_small: Fit,
    draw_colours: Callable[..., Path],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    most: int,
    fewest: int,
    said: str,
) -> None:
    draw_colours(tmp_path / "uneven", most, colours=["blue"])
    root = draw_colours(tmp_path / "uneven", fewest, seed=1, colours=["red"])  # other noise, which would be twins
    fit_small(root, out=tmp_path / "run", progress=True, recipe={"epochs": 1, "batch": 16})
    shown = re.findall(
        r"the largest class has ([\d.]+) times the pictures of the smallest: (.*)", capfd.readouterr().err
    )
    ((ratio, done),) = shown
    source = data.open(root)
    glances = data.glance_at(source)
    assert glances is not None
    parts = data.split_by_rule(source, data.find_twins(glances.gray), "group")
    train = data.Balance.of(np.array([s.label for s in parts.train]), 2)
    assert ratio == f"{train.ratio:.1f}"
    assert said in done
    assert "--set balance=none" in done
