"""How a training ends: rates near nothing, or one line where a loss is no number."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pennyweight.core.errors import PennyweightError
from pennyweight.train import Epoch

Make = Callable[..., Any]


CLASSES = [number % 4 for number in range(32)]


class Scripted(nn.Module):
    """In eval mode right on so many pictures as the script says for that epoch, with the margin that it says."""

    def __init__(self, script: list[tuple[int, float]]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2))
        self.script = script
        self.epoch = -1

    def train(self, mode: bool = True) -> "Scripted":
        self.epoch += mode
        return super().train(mode)

    def forward(self, x: Tensor) -> Tensor:
        logits = 0 * self.weight.expand(len(x), 2)
        if self.training:
            return logits
        correct, margin = self.script[self.epoch]
        sign = torch.where(torch.arange(len(x)) < correct, margin, -margin)
        return logits + torch.stack([sign, -sign], dim=1)


def test_the_best_epoch_is_the_first_best_on_validation(make_pictures: Make, run_training: Make) -> None:
    pictures = make_pictures([0] * 8)
    #   right of 8, margin: a wide margin makes a small loss where nearly all are right
    script = [(4, 0.1), (6, 0.1), (6, 0.1), (6, 0.3), (5, 0.1), (6, 0.2)]
    best, told = run_training(Scripted(script), pictures, pictures, epochs=len(script))
    assert [epoch.val_accuracy for epoch, _ in told.epochs] == [correct / 8 for correct, _ in script]
    assert [is_best for _, is_best in told.epochs] == [True, True, False, True, False, False]
    assert best == told.epochs[3][0]
    assert [epoch.epoch for epoch, _ in told.epochs] == [1, 2, 3, 4, 5, 6]


def test_rates_warm_up_and_end_near_nothing(
    make_network: Make, make_pictures: Make, run_training: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates = []
    step = torch.optim.AdamW.step

    def noted(self: torch.optim.Optimizer, closure: Any = None) -> Any:
        rates.append(self.param_groups[0]["lr"])
        return step(self, closure)

    monkeypatch.setattr(torch.optim.AdamW, "step", noted)
    pictures = make_pictures(CLASSES)
    _, told = run_training(make_network(), pictures, pictures, batch=8, epochs=10, warmup_epochs=2.0, lr=0.01)
    assert len(rates) == 40
    assert [epoch.lr for epoch, _ in told.epochs] == rates[3::4]


@pytest.mark.parametrize("lr", [1e9, 1e30])
def test_a_loss_that_is_no_number_ends_it_with_one_line(
    make_network: Make, make_pictures: Make, run_training: Make, lr: float
) -> None:
    pictures = make_pictures(CLASSES)
    with pytest.raises(PennyweightError, match=r"loss became (nan|inf) in epoch \d+.*--set lr=") as raised:
        run_training(make_network(), pictures, pictures, batch=8, epochs=8, lr=lr)
    assert "\n" not in str(raised.value)


def test_weights_that_break_at_the_last_step_never_become_an_epoch(
    make_network: Make, make_pictures: Make, run_training: Make
) -> None:
    """One step an epoch: the loss is taken before the step that breaks everything, so only validation can see it."""
    pictures = make_pictures(CLASSES)
    told: list[Epoch] = []
    with pytest.raises(PennyweightError, match="loss became"):
        run_training(
            make_network(), pictures, pictures, batch=32, epochs=1, lr=1e30, after_epoch=lambda e, b: told.append(e)
        )
    assert told == []
