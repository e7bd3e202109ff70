"""Files of other people: wrappers are taken off, the moving average is preferred, and unusable numbers are refused."""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from pennyweight import zoo
from pennyweight.core.errors import InputError
from pennyweight.zoo.weights.load import AdaptedWeights, load_weights, put_weights

NAME = "mobilenet_v1_x0_25"
SMALL: dict[str, Any] = {"num_classes": 5, "stages": [[32, 1, 1], [64, 1, 2]]}
"""Each layer costs time when its weights are drawn and loaded."""
State = dict[str, Tensor]


def state_of(seed: int, **options: Any) -> State:
    torch.manual_seed(seed)
    return zoo.create(NAME, **{**SMALL, **options}).state_dict()


def under(prefix: str, state: Mapping[str, Tensor]) -> State:
    return {prefix + key: value for key, value in state.items()}


def loaded(place: Path | str | Mapping[str, Any], **options: Any) -> tuple[nn.Module, list[str]]:
    """A network with the weights, and what was said."""
    model = zoo.create(NAME, **{**SMALL, **options})
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        load_weights(model, place)
    return model, [str(one.message) for one in said if one.category is AdaptedWeights]


def has(model: nn.Module, state: Mapping[str, Tensor]) -> bool:
    return all(torch.equal(value, state[key]) for key, value in model.state_dict().items())


WEIGHTS, AVERAGE = state_of(0), state_of(1)
PARAMETERS = {key: value for key, value in AVERAGE.items() if not key.endswith(("mean", "var", "tracked"))}


@pytest.mark.parametrize(
    ("wrap", "path"),
    [
        (lambda s: {"state_dict": s}, "state_dict"),
        (lambda s: {"model": s, "epoch": 3, "optimizer": {"state": {0: {"exp_avg": torch.ones(1)}}}}, "model"),
        (lambda s: {"net": s, "acc": 91.5}, "net"),
        (lambda s: {"model_state": s}, "model_state"),
        (lambda s: {"ema": s}, "ema"),
        (lambda s: {"state_dict_ema": s, "state_dict": None}, "state_dict_ema"),
        (lambda s: {"checkpoint": {"weights": {"ours": s}}}, "checkpoint.weights.ours"),
        *((lambda s, one=one: under(f"{one}.", s), one) for one in ("_orig_mod", "module", "model", "net", "backbone")),
        (lambda s: under("module._orig_mod.", s), "module._orig_mod"),
        (lambda s: {"state_dict": under("model.module.", s)}, "state_dict.model.module"),
        (lambda s: under("anything.of.theirs.", s), "anything.of.theirs"),
    ],
)
def test_what_wraps_weights_is_taken_off_and_said(wrap: Callable[[State], Any], path: str, tmp_path: Path) -> None:
    torch.save(wrap(WEIGHTS), tmp_path / "w.pth")
    model, said = loaded(tmp_path / "w.pth")
    assert has(model, WEIGHTS)
    assert said == [f"w.pth: took the weights under '{path}'"]


def test_a_file_without_wrapper_needs_no_word(tmp_path: Path) -> None:
    torch.save(WEIGHTS, tmp_path / "w.pth")
    model, said = loaded(tmp_path / "w.pth")
    assert has(model, WEIGHTS)
    assert said == []


@pytest.mark.parametrize("prefix", ["module.", "net."])
def test_a_prefix_of_the_network_itself_stays(prefix: str) -> None:
    name = prefix.removesuffix(".")
    torch.manual_seed(0)
    one, other = (nn.ModuleDict({name: nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))}) for _ in range(2))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_weights(other, one.state_dict())
    assert torch.equal(one[name][0].weight, other[name][0].weight)
    with pytest.warns(AdaptedWeights, match="took the weights under 'model'"):
        load_weights(other, under("model.", one.state_dict()))


def test_safetensors_are_unwrapped_too(tmp_path: Path) -> None:
    save_file(under("_orig_mod.", WEIGHTS), tmp_path / "w.safetensors")
    model, said = loaded(tmp_path / "w.safetensors")
    assert has(model, WEIGHTS)
    assert said == ["w.safetensors: took the weights under '_orig_mod'"]


def test_the_counter_of_an_average_is_left_out() -> None:
    model, said = loaded({"n_averaged": torch.tensor(7), **under("module.", AVERAGE)})
    assert has(model, AVERAGE)
    assert said[1] == "the state dict: left out 1 other tensor, first 'n_averaged'"


def test_tensors_beside_the_weights_are_said() -> None:
    """Lightning keeps a loss's class weights beside the network."""
    model, said = loaded({"state_dict": {**under("model.", WEIGHTS), "criterion.weight": torch.ones(5)}})
    assert has(model, WEIGHTS)
    assert said[1] == "the state dict: left out 1 other tensor, first 'state_dict.criterion.weight'"


@pytest.mark.parametrize(
    ("kept", "place", "kind"),
    [
        (list(PARAMETERS.values()), "ema", "list"),
        (tuple(PARAMETERS.values()), "ema", "tuple"),
        ({"decay": 0.99, "shadow_params": list(PARAMETERS.values())}, "ema.shadow_params", "list"),
        (dict(enumerate(PARAMETERS.values())), "ema", "dict"),
        (zoo.create(NAME, **SMALL), "ema", "MobileNetV1"),
        ({"module": [zoo.create(NAME, **SMALL)]}, "ema.module", "list"),
    ],
)
def test_an_average_without_names_is_left_out_and_said(kept: Any, place: str, kind: str, tmp_path: Path) -> None:
    """Its accuracy is the published one, and no code of a file is run to have its names."""
    others = {"args": argparse.Namespace(lr=1), "rng": [torch.zeros(1)] * 8, "optimizer": [torch.zeros(1)] * 80}
    torch.save({"model": WEIGHTS, "ema": kept, **others}, tmp_path / "w.pth")
    model, (_, line) = loaded(tmp_path / "w.pth")
    assert has(model, WEIGHTS)
    assert line.startswith(f"w.pth: left out '{place}', by its name a moving average, because the ")
    assert f" tensors of a {kind} have no names: save its state_dict()" in line
    assert len(loaded(f"{tmp_path / 'w.pth'}#model")[1]) == 1  # who named a set knows of the other
    with pytest.raises(InputError, match=f"w.pth: left out '{place}', by its name a moving average"):
        loaded(f"{tmp_path / 'w.pth'}#{place}")


@pytest.mark.parametrize(
    ("content", "taken", "other"),
    [
        ({"state_dict": WEIGHTS, "state_dict_ema": AVERAGE}, "state_dict_ema", "state_dict"),
        (
            {"model": WEIGHTS, "model_ema": {"n_averaged": torch.tensor(7), **under("module.", AVERAGE)}},
            "model_ema.module",
            "model",
        ),
        ({"model_state": WEIGHTS, "ema_state_dict": AVERAGE}, "ema_state_dict", "model_state"),
        (
            {"ema": {"module": AVERAGE, "updates": 9}, "state_dict": under("module.", WEIGHTS)},
            "ema.module",
            "state_dict.module",
        ),
        ({"net": WEIGHTS, "netEMA": AVERAGE}, "netEMA", "net"),
        ({**under("model.", WEIGHTS), **under("ema_model.", AVERAGE)}, "ema_model", "model"),
        ({"best": {"weights": WEIGHTS, "EMA": {"shadow": AVERAGE}}}, "best.EMA.shadow", "best.weights"),
        (
            {"last": WEIGHTS, "second": {"n_averaged": torch.tensor(7), **under("module.", AVERAGE)}},
            "second.module",
            "last",
        ),
    ],
)
def test_of_two_sets_the_average_is_taken_and_the_other_can_be(
    content: dict[str, Any], taken: str, other: str, tmp_path: Path
) -> None:
    torch.save(content, tmp_path / "w.pth")
    model, said = loaded(tmp_path / "w.pth")
    assert has(model, AVERAGE)
    assert said[0] == (f"w.pth: took the moving average of the weights, '{taken}'; w.pth#{other} takes the others")
    model, said = loaded(f"{tmp_path / 'w.pth'}#{other}")
    assert has(model, WEIGHTS)
    assert said == [f"w.pth: took the weights under '{other}'"]


def with_nan(state: Mapping[str, Tensor]) -> State:
    return {**state, "stem.0.weight": torch.full_like(state["stem.0.weight"], torch.nan)}


@pytest.mark.parametrize(
    ("content", "key", "hint"),
    [
        (
            {"state_dict": WEIGHTS, "state_dict_ema": with_nan(AVERAGE)},
            "state_dict_ema.stem.0.weight",
            "; the weights of w.pth#state_dict hold only finite numbers",
        ),
        ({"model": WEIGHTS, "ema": with_nan(PARAMETERS)}, "ema.stem.0.weight", "; the weights of w.pth#model hold"),
        ({"model": with_nan(WEIGHTS), "model_ema": with_nan(AVERAGE)}, "model_ema.stem.0.weight", ""),
        ({"model": under("module.", with_nan(WEIGHTS))}, "model.module.stem.0.weight", ""),
        (
            {"model": {**WEIGHTS, "stem.1.running_var": torch.full((8,), torch.nan)}, "ema": PARAMETERS},
            "model.stem.1.running_var",
            "",
        ),
    ],
)
def test_a_refusal_names_the_set_that_holds_nan(content: dict[str, Any], key: str, hint: str, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(InputError) as caught:
        loaded(tmp_path / "w.pth")
    assert str(caught.value).startswith(f"w.pth cannot be used: '{key}' holds NaN")
    assert hint in str(caught.value)
    assert ("#" in str(caught.value)) == bool(hint)


def test_an_average_of_parameters_alone_has_its_statistics_from_the_weights() -> None:
    model, said = loaded({"model": WEIGHTS, "ema": PARAMETERS})
    assert has(model, {**WEIGHTS, **PARAMETERS})
    assert "took the 10 statistics of norms from 'model'" in said[1]


def test_sets_that_nothing_tells_apart_are_refused(tmp_path: Path) -> None:
    torch.save({"encoder_q": WEIGHTS, "encoder_k": AVERAGE}, tmp_path / "w.pth")
    with pytest.raises(InputError, match=r"2 sets of weights that fit: .*; choose one: w\.pth#encoder_q"):
        loaded(tmp_path / "w.pth")
    assert has(loaded(f"{tmp_path / 'w.pth'}#encoder_k")[0], AVERAGE)
    averages = {"model": WEIGHTS, "ema_fast": AVERAGE, "ema_slow": {**WEIGHTS}}
    with pytest.raises(InputError, match="2 sets of weights that fit: 'ema_fast', 'ema_slow'"):
        loaded(averages)
    assert has(loaded({"state_dict": WEIGHTS, "model": {**WEIGHTS}})[0], WEIGHTS)  # twice the same


def test_the_set_of_the_networks_own_width_is_taken() -> None:
    """A student and its teacher."""
    teacher = zoo.create("mobilenet_v1_x0_5", **SMALL).state_dict()
    assert has(loaded({"teacher": teacher, "student": WEIGHTS})[0], WEIGHTS)


def test_a_set_that_is_not_there_is_answered_with_those_that_are(tmp_path: Path) -> None:
    torch.save({"state_dict": WEIGHTS, "state_dict_ema": AVERAGE}, tmp_path / "w.pth")
    with pytest.raises(InputError, match=r"w\.pth has no set 'state_dikt'; did you mean 'state_dict'"):
        loaded(f"{tmp_path / 'w.pth'}#state_dikt")
    with pytest.raises(InputError, match=r"w\.pth has no set 'q'; there are state_dict, state_dict_ema"):
        loaded(f"{tmp_path / 'w.pth'}#q")


def test_a_file_with_a_number_sign_in_its_name_opens(tmp_path: Path) -> None:
    file = tmp_path / "try#3" / "w#state_dict.pth"
    file.parent.mkdir()
    torch.save({"state_dict": WEIGHTS, "ema": AVERAGE}, file)
    assert has(loaded(file)[0], AVERAGE)
    assert has(loaded(f"{file}#state_dict")[0], WEIGHTS)
    with pytest.warns(AdaptedWeights, match="under 'state_dict'"):
        assert has(zoo.create(NAME, **SMALL, weights=f"{file}#state_dict"), WEIGHTS)


def test_a_backbone_of_ours_gets_a_head() -> None:
    body = {key: value for key, value in WEIGHTS.items() if not key.startswith("head.linear")}
    model, said = loaded(under("backbone.", body), num_classes=3)
    assert torch.equal(model.state_dict()["stem.0.weight"], WEIGHTS["stem.0.weight"])
    assert said == [
        "the state dict: took the weights under 'backbone'",
        "the state dict: the head is new, because there is none",
    ]


def test_a_pickle_that_holds_itself_ends() -> None:
    tree: dict[str, Any] = {"state_dict": dict(WEIGHTS)}
    tree["again"] = tree
    assert has(loaded(tree)[0], WEIGHTS)
    for _ in range(5_000):
        tree = {"a": tree}
    with pytest.raises(InputError, match="holds no state dict"):
        loaded(tree)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_are_converted_and_said(kind: torch.dtype) -> None:
    state = {key: value.to(kind) if value.is_floating_point() else value for key, value in WEIGHTS.items()}
    model, said = loaded(state)
    assert {value.dtype for value in model.parameters()} == {torch.float32}
    assert said == [f"the state dict: {str(kind).removeprefix('torch.')} weights were converted to float32"]


def with_value(value: float) -> Callable[[Tensor], Tensor]:
    def changed(tensor: Tensor) -> Tensor:
        tensor = tensor.clone()
        tensor.view(-1)[-1] = value
        return tensor

    return changed


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (with_value(float("nan")), "holds NaN"),
        (with_value(float("inf")), "holds infinite numbers"),
        (with_value(float("-inf")), "holds infinite numbers"),
        (lambda t: (t + 70_000).half(), "holds infinite numbers"),
        (lambda t: t.double().fill_(1e300), r"beyond the range of torch\.float32"),
        (lambda t: t.to(torch.int8), "holds int8 in place of floating-point weights"),
        (lambda t: t > 0, "holds bool in place of floating-point weights"),
        (lambda t: t.to(torch.complex64), "holds complex numbers"),
        (lambda t: t.to_sparse(), "is sparse"),
        (lambda t: t.to("meta"), "no values"),
        (lambda t: torch.quantize_per_tensor(t, 0.1, 0, torch.qint8), "is quantized"),
    ],
)
def test_numbers_that_no_network_can_answer_with_are_refused(change: Callable[[Tensor], Tensor], message: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch deprecates quantized tensors
        changed = change(WEIGHTS["stem.0.weight"])
    model = zoo.create(NAME, **SMALL)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    for wrap in (lambda s: s, lambda s: under("module.", s)):
        with pytest.raises(InputError, match=rf"'(module\.)?stem\.0\.weight' .*{message}") as caught:
            load_weights(model, wrap({**WEIGHTS, "stem.0.weight": changed}))
        assert "\n" not in str(caught.value)
    assert has(model, before)


def test_damage_outside_the_set_that_is_taken_does_no_harm() -> None:
    assert has(loaded({"state_dict": WEIGHTS, "running": {"loss": torch.tensor(float("nan"))}})[0], WEIGHTS)


def test_a_count_of_batches_may_be_of_any_kind() -> None:
    """Hand-written averages make floats of them."""
    changed = {key: value.float() if key.endswith("tracked") else value for key, value in WEIGHTS.items()}
    assert has(loaded(changed)[0], WEIGHTS)
    with pytest.raises(InputError, match=r"num_batches_tracked' holds NaN"):
        loaded({**WEIGHTS, "stem.1.num_batches_tracked": torch.tensor(float("nan"))})


def test_networks_of_others_refuse_them_too() -> None:
    network = zoo.create("timm:test_resnet", num_classes=3)
    key = next(iter(network.state_dict()))
    checkpoint = zoo.Checkpoint(name="w.pth", state={**network.state_dict(), key: torch.full((1,), torch.nan)})
    with pytest.raises(InputError, match=f"w.pth cannot be used: '{key}' holds NaN"):
        put_weights(network, checkpoint)


class Arguments:
    """Object of a training program, of a class that the reader does not have."""

    lr = 0.1


def test_what_training_programs_keep_beside_weights_is_left_out(tmp_path: Path) -> None:
    """timm's and torchvision's scripts keep their arguments, others a best accuracy of numpy or a path."""
    beside = {"args": argparse.Namespace(lr=0.1), "best": np.float64(0.7), "out": tmp_path, "config": Arguments()}
    torch.save({"state_dict": WEIGHTS, "state_dict_ema": AVERAGE, **beside}, tmp_path / "w.pth.tar")
    assert has(loaded(tmp_path / "w.pth.tar")[0], AVERAGE)


def test_a_whole_module_is_refused_with_what_to_do(tmp_path: Path) -> None:
    torch.save(nn.Linear(2, 2), tmp_path / "w.pth")
    with pytest.raises(InputError, match=r"w\.pth holds no state dict, but a pickled Linear, .*save its state_dict"):
        loaded(tmp_path / "w.pth")


def test_functions_in_a_file_are_never_called(tmp_path: Path) -> None:
    class Calls:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return eval, (f"open({str(tmp_path / 'canary')!r}, 'w')",)

    torch.save({"state_dict": WEIGHTS, "more": Calls()}, tmp_path / "w.pth")
    assert has(loaded(tmp_path / "w.pth")[0], WEIGHTS)
    assert not (tmp_path / "canary").exists()
