"""What is checked and measured before a training."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch._dynamo.exc import TorchDynamoException

from pennyweight import zoo
from pennyweight.core.errors import InputError, MissingPart, PennyweightError
from pennyweight.data import Augment
from pennyweight.train import Ranks, Recipe
from pennyweight.train import autotune as room
from pennyweight.train.autotune import measure
from pennyweight.train.autotune_features import measure_features
from pennyweight.train.precision import disable_dropout
from pennyweight.train.preflight import preflight
from pennyweight.train.reproducible import reproducible
from pennyweight.train.time_budget import Pace, measure_pace
from pennyweight.train.trackers import TRACKERS, Tracker, check_tracker, open_tracker
from pennyweight.train.trials import ALIKE, Trials

Make = Callable[..., Any]
CLASSES = [number % 4 for number in range(48)]
PLAIN = Augment(flip=False, shift=0.0)


def batches(pictures: Any, count: int = 3) -> list[Any]:
    return list(islice(pictures.epoch(1, batch=16, seed=0, augment=PLAIN), count))


def checked(network: nn.Module, pictures: Any, *, few: int = 16, **recipe: Any) -> list[str]:
    before = {key: value.clone() for key, value in network.state_dict().items()}
    batch = batches(pictures, 1)[0].rows(np.arange(few))
    try:
        return preflight(network, batch, Recipe(**recipe), preprocess=pictures.preprocess, classes=4)
    finally:
        assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_a_sound_network_passes(make_network: Make, make_pictures: Make) -> None:
    lines = checked(make_network(), make_pictures(CLASSES))
    assert len(lines) == 4
    assert "ln(4) = 1.39" in lines[0]
    assert lines[3].endswith("at learning rate 0.002")


@pytest.mark.slow
@pytest.mark.parametrize(("few", "seed"), [(2, 1), (2, 2), (4, 0), (8, 0)])
def test_a_deep_network_on_few_pictures_answers_alike_in_both_modes(make_pictures: Make, few: int, seed: int) -> None:
    with reproducible(seed):
        network = zoo.create("mobilenet_v1_x0_25", num_classes=4)
    lines = checked(network, make_pictures(CLASSES), few=few)
    assert float(lines[2].partition("cosine ")[2].rstrip(")")) > 0.95


def test_weights_that_are_tuned_are_moved_gently(make_network: Make, make_pictures: Make) -> None:
    for lr, moved_by in ((5e-4, "0.0005"), (0.1, "0.002")):
        line = checked(make_network(), make_pictures(CLASSES), mode="finetune", lr=lr)[3]
        assert line.endswith(f"at learning rate {moved_by}")


def loud(network: nn.Module) -> None:
    network.linear.weight.data *= 100


def idle(network: nn.Module) -> None:
    network.extra = nn.Parameter(torch.ones(3))


def frozen(network: nn.Module) -> None:
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    network.linear.bias.requires_grad_(True)


class Steep(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return 50 * x


def guessing(network: nn.Module) -> None:
    """Only how often each class comes can be learned; the first is expected too often, so that the loss falls."""
    frozen(network)
    network.linear.weight.data.zero_()
    network.linear.bias.data = torch.tensor([0.05, 0.0, 0.0, 0.0])
    network.linear = nn.Sequential(network.linear, Steep())


class Moody(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if self.training else -x


def moody(network: nn.Module) -> None:
    network.linear = nn.Sequential(network.linear, Moody())


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (loud, "the last layer starts too large"),
        (idle, "1 of 7 parameters get no gradient, first 'extra'"),
        (frozen, "one batch cannot be learned"),
        (guessing, "one batch cannot be learned: loss 2.1"),
        (moody, "eval mode differs from train mode"),
    ],
)
def test_what_is_wrong_is_named(
    make_network: Make, make_pictures: Make, harm: Callable[[Any], None], said: str
) -> None:
    network = make_network()
    harm(network)
    with pytest.raises(PennyweightError) as raised:
        checked(network, make_pictures(CLASSES))
    assert said in str(raised.value)
    assert str(raised.value).endswith("(--no-preflight trains all the same)")
    assert "\n" not in str(raised.value)


def test_a_slow_network_is_not_blamed_for_the_steps_that_it_lacked(
    make_network: Make, make_pictures: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pennyweight.train.preflight.SECONDS", 0.0)
    network = make_network()
    frozen(network)
    line = checked(network, make_pictures(CLASSES))[3]
    assert "too few to learn one batch, which therefore tells nothing: loss" in line


def measured(
    network: nn.Module,
    pictures: Any,
    memory: Path,
    ranks: Ranks | None = None,
    optimizer: Any = "adamw",
    recipe: dict[str, Any] | None = None,
    **more: Any,
) -> Trials:
    return measure(
        network,
        batches(pictures),
        Recipe(batch=16, optimizer=optimizer, **(recipe or {})),
        preprocess=pictures.preprocess,
        ranks=ranks or Ranks(),
        **{"compiling": False, "memory": memory, **more},
    )


class Elsewhere(Ranks):
    @property
    def machine(self) -> dict[str, str | int | None]:
        return super().machine | {"accelerator": "Abacus"}


def test_ways_to_step_are_measured_once(
    make_network: Make, make_pictures: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "HOPELESS", 1e9)  # whatever this processor is slow at, and whatever else it does
    network, pictures = make_network(), make_pictures(CLASSES)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    found = measured(network, pictures, tmp_path)
    assert [(way.layout, way.precision) for way in found.ways] == list(room.ORDER)
    assert all(way.step_ms > 0 and way.alike > ALIKE for way in found.ways)
    assert found.applied_to(Recipe()).layout == found.quickest.layout
    again = measured(network, pictures, tmp_path)
    assert again.remembered
    assert again.ways == found.ways
    assert not measured(make_network(classes=5), pictures, tmp_path).remembered
    assert not measured(network, pictures, tmp_path, optimizer="sgd").remembered
    assert not measured(network, pictures, tmp_path, Elsewhere()).remembered
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_what_the_recipe_says_of_the_way_stays(make_network: Make, make_pictures: Make, tmp_path: Path) -> None:
    network, pictures = make_network(), make_pictures(CLASSES)

    def ways(recipe: dict[str, Any]) -> set[tuple[str, str, bool]]:
        found = measured(network, pictures, tmp_path, settled=recipe, recipe=recipe)
        assert measured(network, pictures, tmp_path, settled=recipe, recipe=recipe).remembered
        applied = found.applied_to(Recipe())
        assert all(getattr(applied, name) == value for name, value in recipe.items())
        return {(way.layout, way.precision, way.compile) for way in found.ways}

    assert ways({"precision": "float64", "layout": "channels_first"}) == {("channels_first", "float64", False)}
    assert {precision for _, precision, _ in ways({"precision": "bfloat16"})} == {"bfloat16"}
    assert {layout for layout, _, _ in ways({"layout": "channels_first", "compile": False})} == {"channels_first"}


@pytest.fixture
def compiler(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Any], Any]], None]:
    """`compiler(made)`: what torch.compile gives for a network."""

    def have(made: Callable[[Any], Any]) -> None:
        monkeypatch.setattr(room.shutil, "which", lambda name: name)
        monkeypatch.setattr(torch, "compile", made)

    return have


def wrong(network: Any) -> Any:
    return lambda x: -network(x)


@pytest.mark.parametrize("settled", [True, False])
def test_a_compiled_way_is_checked_too(
    make_network: Make, make_pictures: Make, tmp_path: Path, compiler: Callable[..., None], settled: bool
) -> None:
    """Also where chance leaves things out, which a compiler draws in its own way."""
    network, pictures = make_network(), make_pictures(CLASSES)
    options: dict[str, Any] = {"settled": ("compile",), "recipe": {"compile": True}} if settled else {"compiling": True}
    for name, made in (("right", lambda made: made), ("wrong", wrong)):
        compiler(made)
        found = measured(network, pictures, tmp_path / name, **options)
        compiled = [way for way in found.ways if way.compile]
        assert len(compiled) == (len(found.ways) if settled else 1)
        assert {found.agrees(way) for way in compiled} == {name == "right"}
        assert found.note("steps").count("rejected") == (0 if name == "right" else len(compiled) - settled)
        assert name == "right" or settled or not found.quickest.compile
    assert found.quickest.step_ms == min(way.step_ms for way in found.ways if way.compile == settled)


def failing(text: str, after: int = 0, *, refuses: bool = False) -> Callable[[Any], Any]:
    """A compiler that fails, the first few networks apart; one that `refuses` does so before it is given pictures."""
    made = 0

    def compile(network: Any) -> Any:
        nonlocal made
        made += 1
        if refuses and made > after:
            raise RuntimeError(text)

        def compiled(x: Tensor) -> Tensor:
            raise TorchDynamoException(text)

        return network if made <= after else compiled

    return compile


@pytest.mark.parametrize("after", [0, 1])
def test_a_compiler_that_fails_is_said_and_the_rest_serves(
    make_network: Make, make_pictures: Make, tmp_path: Path, compiler: Callable[..., None], after: int
) -> None:
    compiler(failing("backend='inductor' raised:\nCppCompileError: no Python.h\n\nand much more", after))
    found = measured(make_network(), make_pictures(CLASSES), tmp_path, compiling=True)
    assert not any(way.compile for way in found.ways)
    assert found.note("steps").endswith(
        "; compiling fails here (backend='inductor' raised: CppCompileError: no Python.h)"
    )
    assert not list(tmp_path.iterdir())  # it may be mended


@pytest.mark.parametrize(("reason", "refuses"), [("no Python.h", False), ("torch.compile is not supported here", True)])
def test_where_compiling_was_asked_for_its_failure_ends_the_training(
    make_network: Make,
    make_pictures: Make,
    tmp_path: Path,
    compiler: Callable[..., None],
    run_training: Make,
    reason: str,
    refuses: bool,
) -> None:
    network, pictures = make_network(), make_pictures(CLASSES)
    line = rf"^torch.compile fails here \({reason}\); --set compile=false trains without it$"
    compiler(failing(reason, refuses=refuses))
    with pytest.raises(PennyweightError, match=line):
        measured(network, pictures, tmp_path, settled=("compile",), recipe={"compile": True})
    with pytest.raises(PennyweightError, match=line):
        run_training(network, pictures, pictures, compile=True)


@pytest.mark.parametrize(
    "name",
    [
        "vit_ti_16",
        pytest.param("efficientnet_b0", marks=pytest.mark.slow),
        pytest.param("timm:efficientnet_b0", marks=pytest.mark.slow),
        pytest.param("torchvision:vit_b_32", marks=pytest.mark.slow),
        pytest.param("torchvision:swin_t", marks=pytest.mark.slow),
        pytest.param("timm:swin_tiny_patch4_window7_224", marks=pytest.mark.slow),
    ],
)
def test_nothing_is_left_out_by_chance_where_ways_are_compared(name: str) -> None:
    if name.startswith("timm:"):
        pytest.importorskip("timm")
    chances = {"dropout", "attention_dropout", "p", "drop_prob", "drop_rate"}
    network = zoo.create(name, num_classes=4).train()
    chance = 0
    for module in network.modules():
        for held in chances & vars(module).keys():
            if isinstance(getattr(module, held), float):
                setattr(module, held, 0.5)
                chance += 1
    assert chance
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.1)  # some begin with a last layer of zeros
    x = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        assert not torch.equal(network(x), network(x))
        disable_dropout(network)
        assert torch.equal(network(x), network(x))


class Rain(nn.Module):
    """Leaves out by chance, and nobody knows it."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.nn.functional.dropout(x, 0.5, self.training)


def test_unknown_chance_draws_alike_for_each_way(make_network: Make, make_pictures: Make, tmp_path: Path) -> None:
    network = make_network()
    network.dropout = Rain()
    assert all(way.alike > ALIKE for way in measured(network, make_pictures(CLASSES), tmp_path).ways)


@pytest.mark.parametrize(("bfloat16_ms", "tried"), [(29.0, 4), (31.0, 3)])
def test_a_precision_out_of_reach_is_tried_in_one_layout(
    make_network: Make,
    make_pictures: Make,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    bfloat16_ms: float,
    tried: int,
) -> None:
    def step_ms(model: Any, batches: Any, recipe: Recipe, *others: Any) -> float:
        return bfloat16_ms if recipe.precision == "bfloat16" else 10.0

    monkeypatch.setattr(room, "_step_ms", step_ms)
    ways = measured(make_network(), make_pictures(CLASSES), tmp_path).ways
    assert [(way.layout, way.precision) for way in ways] == list(room.ORDER)[:tried]


def test_where_time_is_short_the_usual_way_is_measured_alone(
    make_network: Make, make_pictures: Make, tmp_path: Path, compiler: Callable[..., None]
) -> None:
    compiler(lambda network: network)
    network, pictures = make_network(), make_pictures(CLASSES)
    (way,) = measured(network, pictures, tmp_path, within_s=0.0, compiling=True).ways
    assert (way.layout, way.precision) == ("channels_last", "float32")
    assert not measured(network, pictures, tmp_path, compiling=True).remembered


def test_where_time_is_short_nothing_is_compiled(
    make_network: Make, make_pictures: Make, tmp_path: Path, compiler: Callable[..., None]
) -> None:
    made: list[Any] = []
    compiler(lambda network: made.append(network) or network)
    (way,) = measured(
        make_network(), make_pictures(CLASSES), tmp_path, settled=("layout", "precision"), within_s=0.0, compiling=True
    ).ways
    assert not way.compile
    assert not made


def test_a_way_that_is_much_slower_is_given_up(
    make_network: Make, make_pictures: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step, steps, now = room.Trainer.step, Counter[str](), [0.0]

    def slow(self: room.Trainer, batch: Any) -> tuple[float, float]:
        steps[self.recipe.precision] += 1
        now[0] += 0.2 if self.recipe.precision == "bfloat16" else 0.01
        return step(self, batch)

    monkeypatch.setattr(room.Trainer, "step", slow)
    monkeypatch.setattr(room, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    found = measured(make_network(), make_pictures(CLASSES), tmp_path)
    assert steps == {"float32": 2 * (room.WARM_UP + room.TIMED), "bfloat16": room.WARM_UP + 1}
    assert [way.precision for way in found.ways] == ["float32", "float32", "bfloat16"]
    assert found.quickest.precision == "float32"


def test_a_pace_is_measured_by_few_steps_where_time_is_short(make_network: Make, make_pictures: Make) -> None:
    pictures, seen = make_pictures([0, 1] * 400), []
    network = make_network()
    network.register_forward_hook(lambda module, args, answer: seen.append(module.training))
    measure_pace(
        network, pictures, pictures, Recipe(batch=16), preprocess=pictures.preprocess, ranks=Ranks(), seed=0,
        teacher=None, within_s=0.0,
    )  # fmt: skip
    assert sum(seen) == room.WARM_UP + 1


def test_a_way_that_differs_from_float32_is_refused(make_network: Make, make_pictures: Make, tmp_path: Path) -> None:
    found = measured(make_network(), make_pictures(CLASSES), tmp_path)
    wrong = [replace(way, step_ms=0.001, alike=0.2) if way.precision == "bfloat16" else way for way in found.ways]
    refusing = replace(found, ways=tuple(wrong))
    assert refusing.quickest.precision == "float32"
    assert "(rejected: differs from float32)" in refusing.note("steps")


class Coarse(nn.Module):
    """Under autocast it answers otherwise."""

    def forward(self, x: Tensor) -> Tensor:
        return -x if torch.is_autocast_enabled(x.device.type) else x


def test_features_are_timed_in_each_precision_and_one_that_changes_them_is_refused(
    make_network: Make, make_pictures: Make, tmp_path: Path
) -> None:
    pictures, recipe = make_pictures(CLASSES), Recipe(mode="head", layout="channels_first")
    network = make_network().train()

    def found(network: nn.Module, name: str, recipe: Recipe = recipe, **more: Any) -> Trials:
        return measure_features(
            network, batches(pictures, 1)[0], recipe,
            preprocess=pictures.preprocess, ranks=Ranks(), memory=tmp_path / name, **more,
        )  # fmt: skip

    first, again = found(network, "kept"), found(network, "kept")
    assert network.training
    assert [(way.layout, way.precision) for way in first.ways] == [
        ("channels_first", "float32"),
        ("channels_first", "bfloat16"),
    ]
    assert all(first.agrees(way) for way in first.ways)
    assert again == replace(first, remembered=True)
    fixed = found(network, "kept", replace(recipe, precision="bfloat16"), settled=("precision",))
    assert [way.precision for way in fixed.ways] == ["bfloat16"]
    network.dropout = nn.Sequential(nn.Dropout(), Coarse())
    (only,) = found(network, "coarse", replace(recipe, precision="bfloat16"), settled=("precision",)).ways
    assert only.alike < 0
    coarse = found(network, "coarse")
    assert [coarse.agrees(way) for way in coarse.ways] == [True, False]
    assert coarse.applied_to(recipe).precision == "float32"


def test_an_epochs_seconds_grow_with_its_steps(make_network: Make, make_pictures: Make) -> None:
    pictures, recipe = make_pictures(CLASSES), Recipe(batch=16, epochs=1)

    def seconds(count: int) -> float:
        pace = measure_pace(
            make_network(), make_pictures([number % 4 for number in range(count)]), pictures, recipe,
            preprocess=pictures.preprocess, ranks=Ranks(), seed=0, teacher=None,
        )  # fmt: skip
        return pace.seconds(recipe, 8)

    assert seconds(3200) > 3 * seconds(48)


def test_smaller_pictures_leave_time_for_more_epochs() -> None:
    """16, 24 and 32 pixels of a step take 1, 2.25 and 4 times the same; epochs have 10 steps."""
    pace = Pace(steps=10, first_step_s=0.01, step_s=0.04, validation_s=0.1)
    whole, growing = Recipe(epochs=6), Recipe(epochs=6, first_size=0.5)
    assert [growing.side(32, epoch) for epoch in range(1, 7)] == [16, 20, 24, 28, 32, 32]
    assert pace.seconds(whole, 32) == pytest.approx(6 * (10 * 0.04 + 0.1))
    steps_s = sum(0.01 * (side / 16) ** 2 for side in (16, 20, 24, 28, 32, 32))
    assert pace.seconds(growing, 32) == pytest.approx(10 * steps_s + 0.6)
    assert pace.epochs_within(3.01, whole, 32) == 6
    assert pace.epochs_within(3.01, growing, 32) == 8
    assert pace.epochs_within(0.1, whole, 32) == 1
    epochs = pace.epochs_within(1e9, growing, 32)  # as quickly as for a minute
    assert pace.seconds(replace(growing, epochs=epochs), 32) <= 1e9
    assert pace.seconds(replace(growing, epochs=epochs + 1), 32) > 1e9


def test_trackers_are_known_before_training(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    check_tracker(None)
    open_tracker(None, "run", tmp_path, {}).epoch({"epoch": 1})
    with pytest.raises(InputError, match="did you mean 'tensorboard'"):
        check_tracker("tensorbord")
    monkeypatch.setitem(TRACKERS, "absent", ("no_such_module", "", lambda name, folder: {}))  # type: ignore[arg-type]
    with pytest.raises(MissingPart, match="--log absent needs no_such_module"):
        check_tracker("absent")


def test_a_tracker_that_fails_is_left_behind(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Away:
        name = "away"

        def log(self, values: dict[str, float], step: int) -> None:
            raise ConnectionError("no route to host\nand more")

    said: list[str] = []
    tracker = Tracker(Away(), said.append)
    for epoch in (1, 2):
        tracker.epoch({"epoch": epoch, "train_loss": 1.0})
    tracker.close()
    assert said == ["away failed, and logs no more of this training: no route to host"]
    monkeypatch.setitem(TRACKERS, "unwilling", ("math", "NoSuchTracker", lambda name, folder: {}))  # type: ignore[arg-type]
    with pytest.raises(PennyweightError, match="--log unwilling cannot start: "):
        open_tracker("unwilling", "run", tmp_path, {})


@pytest.mark.slow
@pytest.mark.parametrize(("name", "module"), [("tensorboard", "tensorboard"), ("mlflow", "mlflow"), ("wandb", "wandb")])
def test_a_tracker_is_told_every_epoch(name: str, module: str, tmp_path: Path) -> None:
    """In a process of its own, because each leaves threads and handlers behind."""
    pytest.importorskip(module, reason=f"{module} is not installed")
    program = f"""
from pathlib import Path
from pennyweight.train import Ranks, Recipe
from pennyweight.train.trackers import open_tracker
ranks = Ranks()
tracker = open_tracker({name!r}, "run", Path("."), Recipe().to_dict(), print)
for epoch in (1, 2):
    tracker.epoch({{"epoch": epoch, "train_loss": 1 / epoch}})
tracker.close()
"""
    alone = {
        "WANDB_MODE": "offline",
        "MLFLOW_TRACKING_URI": f"file://{tmp_path}/mlruns",
        "MLFLOW_ALLOW_FILE_STORE": "true",
    }
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, **alone}, cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "fails" not in done.stdout
    kept = {
        "tensorboard": "tensorboard/events.out.tfevents.*",
        "mlflow": "mlruns/*/*/metrics/train_loss",
        "wandb": "wandb/offline-run-*/run-*.wandb",
    }
    (file,) = tmp_path.glob(kept[name])
    assert b"train_loss" in file.read_bytes() or len(file.read_text().splitlines()) == 2
