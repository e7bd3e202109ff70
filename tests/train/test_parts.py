"""The small parts of a step: average, loss, teacher, rates by stage."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pennyweight import zoo
from pennyweight.core.errors import InputError
from pennyweight.core.preprocess import Preprocess
from pennyweight.data import Mixed
from pennyweight.nn import FromPixels
from pennyweight.train import RECIPES, Recipe
from pennyweight.train.distillation import make_teacher
from pennyweight.train.ema import MovingAverage
from pennyweight.train.loss import compute_loss
from pennyweight.train.optimizer import make_optimizer, make_schedule
from pennyweight.train.presets import get_recipe, suggest_recipe


def test_an_average_follows_slowly_and_steps_aside() -> None:
    model = nn.Linear(2, 2)
    nn.init.zeros_(model.weight)
    average = MovingAverage(model, decay=0.5)
    for _ in range(3):
        with torch.no_grad():
            model.weight.fill_(1.0)
        average.update()
    # Decays of the first three updates: 2/11, 3/12, 4/13.
    expected = 1 - (2 / 11) * (3 / 12) * (4 / 13)
    with average.in_place():
        assert model.weight.mean().item() == pytest.approx(expected)
    assert model.weight.mean().item() == 1.0
    other = MovingAverage(nn.Linear(2, 2), decay=0.5)
    other.load_state_dict(average.state_dict())
    assert other.updates == 3


def test_the_loss_of_a_mixture_and_of_a_teacher() -> None:
    torch.manual_seed(0)
    logits, taught = torch.randn(3, 5), torch.randn(3, 5)
    targets, others = torch.tensor([0, 1, 2]), torch.tensor([4, 4, 4])
    recipe = Recipe(label_smoothing=0.0, distill_share=0.25, temperature=2.0)
    plain = F.cross_entropy(logits, targets)
    mixture = compute_loss(logits, targets, Mixed(others.numpy(), np.full(len(others), 0.75, np.float32)), None, recipe)
    torch.testing.assert_close(mixture, 0.75 * plain + 0.25 * F.cross_entropy(logits, others))
    soft, wanted = (logits / 2).softmax(1), (taught / 2).softmax(1)
    apart = (wanted * (wanted.log() - soft.log())).sum(1).mean() * 4
    training_digests = compute_loss(logits, targets, None, taught, recipe)
    torch.testing.assert_close(training_digests, 0.75 * plain + 0.25 * apart)
    assert compute_loss(taught, targets, None, taught, Recipe(distill_share=1.0)).item() == pytest.approx(0)


def test_a_teacher_sees_its_own_normalisation_size_and_classes() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 4)).eval()
    ours = Preprocess(size=8, resize=8)
    theirs = Preprocess(size=16, resize=16, mean=(0.5, 0.5, 0.5), std=(0.25, 0.5, 1.0))
    teacher = make_teacher(network, theirs=theirs, ours=ours, order=[2, 0], device=torch.device("cpu"))
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), dtype=np.uint8))
    expected = network(FromPixels(theirs.mean, theirs.std)(pixels))[:, [2, 0]]
    found = teacher(FromPixels(ours.mean, ours.std)(pixels))
    torch.testing.assert_close(found, expected.detach(), atol=1e-2, rtol=0)
    grey = Preprocess.for_input(8, channels=1)
    with pytest.raises(InputError, match="the teacher takes 3 channels, these pictures have 1"):
        make_teacher(network, theirs=theirs, ours=grey, order=[0], device=torch.device("cpu"))


@pytest.mark.parametrize(
    ("name", "stages"),
    [
        ("resnet18", ["stem", "trunk.0", "trunk.1", "trunk.2", "trunk.3", "head"]),
        ("torchvision:resnet18", ["conv1 bn1", "layer1", "layer2", "layer3", "layer4", "fc"]),
        ("torchvision:mobilenet_v2", [*(f"features.{number}" for number in range(19)), "classifier"]),
    ],
)
def test_stages_learn_slower_towards_the_stem(name: str, stages: list[str]) -> None:
    model = zoo.create(name, num_classes=5)
    optimizer = make_optimizer(model, Recipe(lr=1.0, rate_decay=0.5))
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    expected = {part: {0.5**distance} for distance, row in enumerate(reversed(stages)) for part in row.split()}
    assert {part: {rates[id(p)] for p in model.get_submodule(part).parameters()} for part in expected} == expected
    assert len(rates) == len(list(model.parameters()))


def test_single_layers_are_one_stage_before_the_last() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.ReLU(), nn.Linear(2, 2))
    optimizer = make_optimizer(model, Recipe(lr=1.0, rate_decay=0.5))
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    assert [{rates[id(p)] for p in layer.parameters()} for layer in model] == [{0.5}, {0.5}, set(), {1.0}]


def test_tables_of_biases_do_not_decay() -> None:
    model = zoo.create("torchvision:swin_t", num_classes=5)
    (table,) = (p for name, p in model.named_parameters() if name == "features.1.0.attn.relative_position_bias_table")
    (decay,) = (
        group["weight_decay"]
        for group in make_optimizer(model, Recipe()).param_groups
        if any(p is table for p in group["params"])
    )
    assert decay == 0


def test_the_courses_of_the_rate() -> None:
    def rates(recipe: Recipe) -> list[float]:
        optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=recipe.lr)
        schedule = make_schedule(optimizer, recipe, 10)
        taken = []
        for _ in range(recipe.epochs * 10):
            taken.append(float(optimizer.param_groups[0]["lr"]))
            optimizer.step()
            schedule.step()
        return taken

    cycle = rates(Recipe(epochs=4, lr=1.0, schedule="one-cycle"))
    assert cycle.index(max(cycle)) == 10
    assert cycle[10] == 1.0
    assert cycle[25] == pytest.approx(0.5)
    assert cycle[-1] == pytest.approx(1 / 30)
    assert set(rates(Recipe(epochs=2, lr=0.5, schedule="constant", warmup_epochs=0.0))) == {0.5}


def test_recipes_by_name() -> None:
    classic = get_recipe("classic-cifar")
    assert (classic.optimizer, classic.lr, classic.batch, classic.epochs) == ("adam", 1e-3, 128, 10)
    assert (classic.flip, classic.shift, classic.schedule) == (False, 0.0, "constant")
    transfer = get_recipe("classic-transfer")
    assert (transfer.mode, transfer.optimizer, transfer.lr, transfer.batch, transfer.epochs) == (
        "head",
        "sgd",
        1e-3,
        64,
        10,
    )
    with pytest.raises(InputError, match="did you mean 'classic-cifar'"):
        get_recipe("classic-cifer")
    for mode, pictures in (("scratch", 100), ("scratch", 50_000), ("head", 100), ("finetune", 100)):
        assert RECIPES[suggest_recipe(mode, pictures, "mobilenet_v2")[0]].mode == mode
    assert suggest_recipe("scratch", 50_000, "resnet_9_x0_25")[0] == "sprint"
    assert {suggest_recipe("scratch", pictures, "vgg11", batch_norm=False)[0] for pictures in (100, 50_000)} == {
        "careful"
    }


def test_adam_keeps_its_decay_out_of_norms() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2))
    optimizer = make_optimizer(model, Recipe(optimizer="adam", weight_decay=0.5))
    assert type(optimizer) is torch.optim.Adam
    assert sorted(group["weight_decay"] for group in optimizer.param_groups) == [0.0, 0.5]
    assert math.isclose(optimizer.param_groups[0]["lr"], Recipe().lr)
