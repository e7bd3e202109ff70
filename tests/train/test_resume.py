"""A training that was stopped anywhere ends with the bits of one that was not."""

import errno
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pennyweight.core.errors import InputError, RunError
from pennyweight.core.signals import Stop, deferring_signals
from pennyweight.train import Checkpointer, Checkpoints, Epoch, interrupts
from pennyweight.train import checkpoint as room
from pennyweight.train.interrupts import Interrupts, interruptible_backward
from pennyweight.train.trainer import Trainer

Make = Callable[..., Any]
Whole = Callable[[dict[str, Any]], "Outcome"]
CLASSES = [number % 4 for number in range(36)]
EVERYTHING = {
    "epochs": 3,
    "batch": 8,
    "flip": True,
    "shift": 0.125,
    "mixup": 0.2,
    "cutmix": 1.0,
    "ema": 0.9,
    "clip_norm": 1.0,
    "accumulate": 2,
    "warmup_epochs": 1.0,
}
OPTIMIZERS = (
    {"optimizer": "adamw", "lr": 0.01},
    {"optimizer": "sgd", "lr": 0.1, "schedule": "one-cycle"},
    {"optimizer": "muon", "lr": 0.1},
)


class Outcome:
    """The bits that a training left: the last weights, the best ones, and the figures that are no timings."""

    def __init__(self) -> None:
        self.last: dict[str, Tensor] = {}
        self.best: dict[str, Tensor] = {}
        self.figures: list[tuple[float, ...]] = []

    def __eq__(self, other: object) -> bool:
        assert isinstance(other, Outcome)
        same = [
            one.keys() == two.keys() and all(torch.equal(one[key], two[key]) for key in one)
            for one, two in ((self.last, other.last), (self.best, other.best))
        ]
        return all(same) and self.figures == other.figures

    __hash__ = None  # type: ignore[assignment]


@pytest.fixture
def outcome(make_network: Make, make_pictures: Make, run_training: Make) -> Callable[..., Outcome]:
    """`outcome(checkpointer, into=…, **recipe)`: train a fresh network; `into` is what an earlier attempt left."""
    pictures, others = make_pictures(CLASSES), make_pictures(CLASSES, seed=1)

    def run(checkpointer: Checkpointer | None = None, into: Outcome | None = None, **recipe: Any) -> Outcome:
        network: nn.Module = make_network()
        made = into or Outcome()

        def after_epoch(epoch: Epoch, best: bool) -> None:
            if best:
                made.best = {key: value.clone() for key, value in network.state_dict().items()}
            del made.figures[epoch.epoch - 1 :]
            made.figures.append((epoch.train_loss, epoch.train_accuracy, epoch.val_loss, epoch.val_accuracy, epoch.lr))

        run_training(network, pictures, others, checkpointer=checkpointer, after_epoch=after_epoch, **recipe)
        made.last = network.state_dict()
        return made

    return run


@pytest.fixture(scope="module")
def kept() -> dict[str, Outcome]:
    """What trainings that nothing stopped left, by their recipe: each is done once for all cases."""
    return {}


@pytest.fixture
def whole_of(outcome: Callable[..., Outcome], kept: dict[str, Outcome]) -> Callable[[dict[str, Any]], Outcome]:
    """`whole_of(recipe)`: what a training that nothing stops leaves."""

    def whole(recipe: dict[str, Any]) -> Outcome:
        if str(recipe) not in kept:
            kept[str(recipe)] = outcome(**recipe)
        return kept[str(recipe)]

    return whole


def stopping_at(checkpoints: Checkpoints, step: int) -> Checkpointer:
    """Return a checkpointer that a signal reaches during that step."""

    class Timed(Stop):
        @property
        def asked(self) -> int | None:  # type: ignore[override]
            return signal.SIGINT if steps[0] >= step else None

        @asked.setter
        def asked(self, value: int | None) -> None: ...

    steps = [0]
    checkpointer = Checkpointer(checkpoints, stop=Timed())
    wish = Checkpointer.wish.fget
    assert wish is not None

    class Counting(Checkpointer):
        @property
        def wish(self) -> tuple[float, float]:
            steps[0] += 1
            return wish(self)  # type: ignore[no-any-return]

    checkpointer.__class__ = Counting
    return checkpointer


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda recipe: recipe["optimizer"])
@pytest.mark.parametrize("step", [14, *(pytest.param(step, marks=pytest.mark.slow) for step in (1, 3, 5, 8, 10))])
def test_stopped_at_any_step_it_ends_with_the_same_bits(
    outcome: Callable[..., Outcome], whole_of: Whole, tmp_path: Path, step: int, optimizer: dict[str, Any]
) -> None:
    recipe = {**EVERYTHING, **optimizer}
    whole = whole_of(recipe)
    parts = Outcome()
    with pytest.raises(KeyboardInterrupt):
        outcome(stopping_at(Checkpoints(tmp_path / "kept"), step), parts, **recipe)
    assert outcome(Checkpointer(Checkpoints(tmp_path / "kept")), parts, **recipe) == whole


def test_a_state_of_another_network_is_refused_before_anything_changes(
    outcome: Callable[..., Outcome], tmp_path: Path
) -> None:
    checkpoints = Checkpoints(tmp_path / "kept")
    with pytest.raises(KeyboardInterrupt):
        outcome(stopping_at(checkpoints, 3), **EVERYTHING)
    kept = checkpoints.latest()
    assert kept is not None
    name = next(iter(kept["model"]))
    kept["model"][f"{name}-of-before"] = kept["model"].pop(name)
    checkpoints.save(kept)
    before = {path.name: path.read_bytes() for path in (tmp_path / "kept").iterdir()}
    with pytest.raises(InputError, match=f"an earlier form of this one .* first '{name}'"):
        outcome(Checkpointer(Checkpoints(tmp_path / "kept")), **EVERYTHING)
    assert {path.name: path.read_bytes() for path in (tmp_path / "kept").iterdir()} == before


@pytest.mark.parametrize(("part", "name"), [("model", "the checkpoint"), ("average", "the moving average of the ch")])
def test_a_state_whose_weights_or_average_hold_nan_is_refused(
    outcome: Callable[..., Outcome], tmp_path: Path, part: str, name: str
) -> None:
    checkpoints = Checkpoints(tmp_path / "kept")
    with pytest.raises(KeyboardInterrupt):
        outcome(stopping_at(checkpoints, 3), **EVERYTHING)
    kept = checkpoints.latest()
    assert kept is not None
    state = kept["model"] if part == "model" else kept["average"]["mean"]
    key = next(iter(state))
    state[key].fill_(torch.nan)
    checkpoints.save(kept)
    with pytest.raises(InputError, match=f"^{name}.* cannot be used: '{key}' holds NaN"):
        outcome(Checkpointer(Checkpoints(tmp_path / "kept")), **EVERYTHING)


def test_an_optimiser_of_an_earlier_form_is_refused(outcome: Callable[..., Outcome], tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path / "kept")
    with pytest.raises(KeyboardInterrupt):
        outcome(stopping_at(checkpoints, 3), **EVERYTHING)
    kept = checkpoints.latest()
    assert kept is not None
    kept["optimizer"]["param_groups"].append({**kept["optimizer"]["param_groups"][-1], "params": []})
    checkpoints.save(kept)
    with pytest.raises(
        InputError, match=r"optimizer has the form of an earlier version; start again under another --out"
    ):
        outcome(Checkpointer(Checkpoints(tmp_path / "kept")), **EVERYTHING)


def test_that_comparison_sees_a_lost_random_state(
    outcome: Callable[..., Outcome], whole_of: Whole, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = whole_of(EVERYTHING)
    parts = Outcome()
    with pytest.raises(KeyboardInterrupt):
        outcome(stopping_at(Checkpoints(tmp_path / "kept"), 3), parts, **EVERYTHING)
    monkeypatch.setattr("pennyweight.train.state.set_random_state", lambda state: None)
    assert outcome(Checkpointer(Checkpoints(tmp_path / "kept")), parts, **EVERYTHING) != whole


def test_killed_between_an_epochs_checkpoint_and_what_its_caller_keeps(
    outcome: Callable[..., Outcome], whole_of: Whole, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = whole_of(EVERYTHING)
    parts, save = Outcome(), Interrupts.save

    def killed(self: Interrupts) -> None:
        save(self)
        if len(self._progress.history) == 2:
            raise SystemExit

    monkeypatch.setattr(Interrupts, "save", killed)
    with pytest.raises(SystemExit):
        outcome(Checkpointer(Checkpoints(tmp_path / "kept")), parts, **EVERYTHING)
    assert len(parts.figures) == 1
    monkeypatch.setattr(Interrupts, "save", save)
    assert outcome(Checkpointer(Checkpoints(tmp_path / "kept")), parts, **EVERYTHING) == whole


@pytest.mark.parametrize(
    "kill", [1, 2, 9, 15, *(pytest.param(kill, marks=pytest.mark.slow) for kill in (*range(3, 9), *range(10, 15)))]
)
def test_a_kill_loses_one_interval_at_most(
    outcome: Callable[..., Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kill: int
) -> None:
    interval, steps, step_of = 2, 0, Trainer.step

    def stepped(self: Trainer, batch: Any) -> Any:
        nonlocal steps
        steps += 1
        if steps == kill:
            raise GeneratorExit  # which nothing waits for
        return step_of(self, batch)

    monkeypatch.setattr(Trainer, "step", stepped)
    checkpoints = Checkpoints(tmp_path / "kept")
    with pytest.raises(GeneratorExit):
        outcome(Checkpointer(checkpoints, every_s=interval, clock=lambda: steps), **EVERYTHING)  # a step is a second
    kept = checkpoints.latest()
    assert kill - 1 - (0 if kept is None else kept["step"]) <= interval


WHERE = ["before", "forward", "backward", "validation"]


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("step", [4, *(pytest.param(step, marks=pytest.mark.slow) for step in (1, 7))])
def test_a_signal_does_not_wait_for_a_long_step(
    outcome: Callable[..., Outcome],
    whole_of: Whole,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
    step: int,
) -> None:
    whole = whole_of(EVERYTHING)
    monkeypatch.setattr(interrupts, "LONG_S", 0.0)
    parts, checkpoints, calls = Outcome(), Checkpoints(tmp_path / "kept"), dict.fromkeys(WHERE, 0)
    step_of, logits_of = Trainer.step, Trainer._logits

    def call(of: str, number: int) -> bool:
        calls[of] += 1
        return of == where and calls[of] == number

    def stepped(self: Trainer, batch: Any) -> Any:
        if call("before", step):
            signal.raise_signal(signal.SIGINT)
        return step_of(self, batch)

    def interrupted(self: Trainer, network: Any, x: Tensor) -> Tensor:
        logits = logits_of(self, network, x)  # norms have changed, and chance was drawn
        if not torch.is_grad_enabled():
            if call("validation", 2):
                signal.raise_signal(signal.SIGINT)
            return logits
        if call("backward", 2 * step):  # the second part of two
            logits.register_hook(lambda gradient: signal.raise_signal(signal.SIGINT))
        if call("forward", 2 * step):
            signal.raise_signal(signal.SIGINT)
        return logits

    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "step", stepped)
        patched.setattr(Trainer, "_logits", interrupted)
        with pytest.raises(KeyboardInterrupt), deferring_signals() as stop:
            outcome(Checkpointer(checkpoints, stop=stop), parts, **EVERYTHING)
    kept = checkpoints.latest()
    assert kept is not None
    assert kept["step"] == (kept["sums"]["steps"] if where == "validation" else step - 1)
    assert outcome(Checkpointer(checkpoints), parts, **EVERYTHING) == whole


@pytest.mark.skipif(os.name != "posix", reason="alarms are POSIX's")
def test_a_signal_is_heard_amid_a_backward_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    network = nn.Sequential(*(nn.Linear(1200, 1200) for _ in range(24)))
    first = network[0]
    assert isinstance(first, nn.Linear)

    def heard(number: int, frame: Any) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, heard)
    try:
        with interruptible_backward(network):
            loss = network(torch.ones(600, 1200)).sum()
            signal.setitimer(signal.ITIMER_REAL, 0.02)
            with pytest.raises(TimeoutError):
                loss.backward()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert first.weight.grad is None  # it would have been the last
    network(torch.ones(1, 1200)).sum().backward()
    assert first.weight.grad is not None


def test_the_time_of_every_process_counts(tmp_path: Path) -> None:
    for spent_s in (3600.0, 60.0, 0.0):
        checkpointer = Checkpointer(Checkpoints(tmp_path / "kept"), spent_s=spent_s)
        checkpointer.latest()
        checkpointer.save({"step": 1}, writes=True)
        checkpointer.latest()  # its own, which is no earlier one's
    assert 3660 <= checkpointer.spent_s < 3720


def test_patience_ends_a_resumed_training_where_it_ends_another(
    outcome: Callable[..., Outcome], tmp_path: Path
) -> None:
    recipe = {**EVERYTHING, "epochs": 40, "patience": 2}
    whole = outcome(**recipe)
    assert len(whole.figures) < 40
    parts = Outcome()
    with pytest.raises(KeyboardInterrupt):
        outcome(stopping_at(Checkpoints(tmp_path / "kept"), 8), parts, **recipe)
    assert outcome(Checkpointer(Checkpoints(tmp_path / "kept")), parts, **recipe) == whole


# What lies on disk


def state(number: int) -> dict[str, Any]:
    return {"step": number, "value": torch.full((1000,), float(number))}


def test_the_last_two_are_kept_with_their_checksums(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path / "kept")
    assert checkpoints.latest() is None
    for number in (1, 2, 3):
        checkpoints.save(state(number))
    names = ["0000000001.pt", "0000000001.sha256", "0000000002.pt", "0000000002.sha256"]
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == names
    latest = checkpoints.latest()
    assert latest is not None
    assert latest["step"] == 3


@pytest.mark.parametrize(
    "damage",
    [lambda data: data[:-7], lambda data: data[:900] + bytes([data[900] ^ 0xFF]) + data[901:], lambda data: b""],
)
def test_a_damaged_one_is_said_and_the_one_before_serves(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    said: list[str] = []
    checkpoints = Checkpoints(tmp_path / "kept", said.append)
    for number in (1, 2):
        checkpoints.save({"step": number, "value": torch.rand(1000)})
    newest = tmp_path / "kept" / "0000000001.pt"
    newest.write_bytes(damage(newest.read_bytes()))
    latest = checkpoints.latest()
    assert latest is not None
    assert latest["step"] == 1
    assert said == ["checkpoint 0000000001.pt damaged (checksum mismatch): the one before serves"]
    oldest = newest.with_stem("0000000000")
    oldest.write_bytes(damage(oldest.read_bytes()))
    assert checkpoints.latest() is None
    assert checkpoints.latest() is None
    names = "checkpoints 0000000001.pt and 0000000000.pt"
    assert said[1:] == [f"{names} damaged (checksum mismatch): none is whole, and training begins again"]


POINTS = ["torch.save", "sha256", "write_text", "atomic"]


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize(
    "error",
    [OSError(errno.ENOSPC, "No space left on device"), OSError(errno.EROFS, "Read-only file system"), SystemExit()],
)
def test_a_failure_inside_saving_leaves_the_previous_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str, error: BaseException
) -> None:
    checkpoints = Checkpoints(tmp_path / "kept")
    checkpoints.save(state(1))
    checkpoints.save(state(2))

    def fail(*arguments: Any, **options: Any) -> Any:
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(*((torch, "save") if point == "torch.save" else (room, point)), fail)
        with pytest.raises((RunError, SystemExit)) as raised:
            checkpoints.save(state(3))
    if isinstance(raised.value, RunError):
        assert isinstance(error, OSError)
        assert f"{error.strerror}; what was saved before is intact" in str(raised.value)
        assert "\n" not in str(raised.value)
    latest = checkpoints.latest()
    assert latest is not None
    assert latest["step"] == 2
    assert torch.equal(latest["value"], state(2)["value"])
    checkpoints.save(state(4))  # and what the failure left behind is cleared away
    assert sorted(path.stem for path in (tmp_path / "kept").glob("*.pt")) == ["0000000001", "0000000002"]
    assert not list((tmp_path / "kept").glob(".*"))


@pytest.mark.skipif(os.name != "posix", reason="the limit is POSIX's")
def test_a_file_that_the_system_stops_leaves_the_previous_one(tmp_path: Path) -> None:
    import resource

    checkpoints = Checkpoints(tmp_path / "kept")
    checkpoints.save(state(1))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, limits[1]))
    try:
        with pytest.raises(RunError, match="File too large; what was saved before is intact"):
            checkpoints.save({**state(2), "value": torch.zeros(1_000_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    latest = checkpoints.latest()
    assert latest is not None
    assert latest["step"] == 1


def test_what_others_put_beside_checkpoints_stays(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    (folder / ".ipynb_checkpoints").mkdir()
    (folder / "0000000007.pt").mkdir()
    (tmp_path / "mine").touch()
    (folder / "0000000008.pt").symlink_to(tmp_path / "mine")
    others = [".gitignore", ".0000000003.pt.swp", "notes.txt"]
    ours = [".0000000003.4711.0123abcd.tmp.pt", ".0000000003.4711.0123abcd.tmp.sha256", "0000000009.pt"]
    for name in (*others, *ours):
        (folder / name).touch()
    checkpoints = Checkpoints(folder)
    for number in range(3):
        checkpoints.save({"step": number})
    assert checkpoints.latest() == {"step": 2}
    names = {path.name for path in folder.iterdir()}
    assert names >= {*others, ".ipynb_checkpoints", "0000000007.pt", "0000000008.pt"}
    assert not names & set(ours)
    assert (tmp_path / "mine").exists()
