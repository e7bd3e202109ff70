"""One sweep over every row of every family's table: a new row is tested without touching this file."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from pennyweight.core.errors import InputError
from pennyweight.cost import count
from pennyweight.nn import Network, WindowNetwork
from pennyweight.nn.init import meta_device
from pennyweight.zoo import FAMILIES, create, names, variant
from pennyweight.zoo.efficientnet import compound
from pennyweight.zoo.weights.load import load_weights

STATE_KEYS = Path(__file__).with_name("state_keys.json")
NAMES = [name for family in FAMILIES for name in family.variants]
SMALLEST = {family.title: min(family.variants, key=lambda name: family.variants[name].params) for family in FAMILIES}
FIXED_SIZE = ("vit", "hybrid", "window", "spectral")
STEMS = ("imagenet", "cifar")
# A shallow form of a family has each kind of its blocks, and is made and traced in a fraction of the time.
SHALLOW: dict[str, dict[str, object]] = {
    "MobileNetV1": {"stages": [[64, 1, 1], [128, 2, 2]]},
    "MobileNetV2": {"stages": [[1, 16, 1, 1, 1], [6, 24, 2, 2, 1]]},
    "ShuffleNetV1": {"blocks": [2, 2, 2], "groups": 3},
    "ShuffleNetV2": {"blocks": [2, 2, 2]},
    "EfficientNet": {"stages": [[1, 3, 16, 1, 1, 1], [6, 5, 24, 2, 2, 1]]},
    "ResNet": {"channels": 16, "blocks": [2, 1, 1, 2]},
    "ResNeXt": {"blocks": [1, 1, 2]},
    "VGG": {"channels": [16, 32, 64, 64, 64], "hidden": 64},
    "ViT": {"blocks": 4},
}


FORMS = [
    *(pytest.param(name, SHALLOW.get(title, {}), id=title) for title, name in SMALLEST.items()),
    pytest.param("hybrid_sn_bn", {}, id="hybrid_sn_bn"),
]


def brief(name: str) -> dict[str, object]:
    """Return the fields that leave at most two of a row's repeated blocks in each stage, at a small input."""
    config = variant(name).config
    fields: dict[str, object] = {}
    if isinstance(blocks := getattr(config, "blocks", None), tuple):
        fields["blocks"] = [min(number, 2) for number in blocks]
    if hasattr(config, "stages"):
        fields["stages"] = [[*stage._replace(blocks=min(stage.blocks, 2))] for stage in config.stages]
    if hasattr(config, "depth"):
        fields["depth"] = 1.0
    if isinstance(blocks, int):  # of a transformer
        fields |= {"size": 64, "blocks": 4}
    return fields | ({"hidden": 256} if name.startswith("vgg") else {})


def differing_rows() -> Iterator[Any]:
    """Yield the smallest row of each family whole, and of the others, made brief, those that are then different."""
    seen = {variant("hybrid_sn_bn").config}
    for family in FAMILIES:
        for name, row in family.variants.items():
            fields = brief(name) if row.params > 30e6 or name != SMALLEST[family.title] else {}
            config = replace(row.config, **{key: _frozen(value) for key, value in fields.items()})
            if config not in seen:
                seen.add(config)
                yield pytest.param(name, fields, id=name, marks=pytest.mark.slow)


def _frozen(value: object) -> object:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


STRUCTURE = ("stages", "blocks", "block", "groups", "se", "batch_norm", "patch")


def kind_of(row: Any) -> tuple[object, ...]:
    """Return what decides which code a row runs: its family and the fields that are no widths."""
    name, fields = row.values
    read = {key: fields.get(key, getattr(variant(name).config, key, None)) for key in STRUCTURE}
    read["groups"] = min(read["groups"] or 1, 2)
    stages = read.pop("stages") or read.pop("blocks")
    return type(variant(name).config), stages if isinstance(stages, int) else len(stages or ()), *read.values()


ROWS = [*FORMS, *differing_rows()]
# Widths change no trace: the first row of each kind.
KINDS = [*FORMS, *{kind_of(row): row for row in reversed(ROWS[len(FORMS) :])}.values()]
EXPORTED = ("EfficientNet", "ViT")
"""Families that the default set exports and traces by stages: one of gated convolutions, and one of attention."""
TRACED = [pytest.param(*row.values, id=row.id, marks=() if row.id in EXPORTED else pytest.mark.slow) for row in KINDS]
# One row of each family in the default set, every other in the slow one.
EVERY = [pytest.param(name, marks=() if name in SMALLEST.values() else pytest.mark.slow) for name in NAMES]


def weightless(name: str, **options: object) -> Network:
    """The network without memory: nothing is drawn, so it is made at once. By default as its row claims it."""
    row = variant(name)
    with meta_device():
        return create(name, **{"num_classes": row.num_classes, "in_channels": row.input_shape[0], **options})


def small(name: str, config: Mapping[str, object], stem: str = "imagenet") -> Network:
    """The network for five classes; the stem for small pictures has no hidden layers."""
    fields = {key: value for key, value in config.items() if (key, stem) != ("hidden", "cifar")}
    return create(name, **{"num_classes": 5, "in_channels": variant(name).input_shape[0], "stem": stem, **fields})


def own_input(name: str, model: Network, batch: int = 2) -> torch.Tensor:
    """A small batch that the network takes: where any size does, 64 pixels, or 32 for the stem of small pictures."""
    channels, size, _ = variant(name).input_shape
    fixed = getattr(model, "size", None) or getattr(model, "window", None)
    side = fixed or min(size, 64 if model.stem_form == "imagenet" else 32)
    device = next(model.parameters()).device
    return torch.randn(batch, channels, side, side, device=device)


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("name", EVERY)
def test_the_claimed_costs_are_what_is_counted(name: str) -> None:
    row = variant(name)
    cost = count(weightless(name).eval(), row.input_shape)
    assert (cost.params, cost.macs) == (row.params, row.macs)
    assert cost.uncounted == {}


@pytest.mark.parametrize("name", NAMES)
def test_the_published_accuracy_is_a_percentage_with_its_paper(name: str) -> None:
    row = variant(name)
    assert row.top1 is None or 30 < row.top1 < 95
    assert row.paper


@pytest.mark.parametrize(("name", "config"), ROWS)
def test_features_are_as_described_and_every_parameter_takes_part(name: str, config: Mapping[str, object]) -> None:
    model = weightless(name, **config)
    x = own_input(name, model)
    outputs = model.features(x)
    assert tuple(output.shape[1] for output in outputs) == model.feature_channels
    if not isinstance(model, WindowNetwork):  # which pads nothing
        assert [output.shape[2] for output in outputs] == [-(-x.shape[2] // s) for s in model.feature_strides]
    model(x).sum().backward()
    assert [key for key, parameter in model.named_parameters() if parameter.grad is None] == []


@pytest.mark.parametrize("name", EVERY)
def test_create_makes_what_the_table_lists_and_weigh_counts(name: str) -> None:
    """Bands, classes and stem of their own are defaults too."""
    row = variant(name)
    with meta_device():
        model = create(name)
    assert (model.in_channels, model.num_classes, model.stem_form) == (row.input_shape[0], row.num_classes, row.stem)
    assert sum(parameter.numel() for parameter in model.parameters()) == row.params
    assert model(torch.empty(2, *row.input_shape, device="meta")).shape == (2, row.num_classes)


@pytest.mark.parametrize(("name", "config"), ROWS)
def test_without_classes_it_returns_the_pooled_features(name: str, config: Mapping[str, object]) -> None:
    whole = small(name, config).eval()
    model = load_weights(small(name, {**config, "num_classes": 0}), whole.state_dict()).eval()
    x = own_input(name, model)
    with torch.inference_mode():
        features = model(x)
        assert features.shape == (2, model.num_features) == (2, whole.num_features)
        assert torch.equal(whole.head.linear(features), whole(x))
    assert (model.num_classes, whole.num_classes) == (0, 5)
    assert count(model, x.shape[1:]).params == count(whole, x.shape[1:]).params - 5 * (model.num_features + 1)


@pytest.mark.parametrize(("name", "config"), FORMS)
def test_another_head(name: str, config: Mapping[str, object]) -> None:
    model = weightless(name, **config)
    model.reset_head(3)
    assert model(own_input(name, model)).shape == (2, 3)
    model.reset_head(0)
    assert model(own_input(name, model)).shape == (2, model.num_features)
    model.reset_head(4)
    assert model(own_input(name, model)).shape == (2, 4)
    assert model.head.linear.weight.is_meta


@pytest.mark.parametrize(
    ("name", "config", "stem"),
    [
        pytest.param(*row.values, stem, id=f"{stem}-{row.id}", marks=pytest.mark.slow if stem == "cifar" else row.marks)
        for stem, rows in (("imagenet", ROWS), ("cifar", KINDS))
        for row in rows
    ],
)
def test_every_parameter_has_a_gradient(name: str, config: Mapping[str, object], stem: str) -> None:
    model = small(name, config, stem)
    loss = nn.functional.cross_entropy(model(own_input(name, model, 4)), torch.arange(4))
    loss.backward()
    grads = {key: parameter.grad for key, parameter in model.named_parameters()}
    assert [key for key, grad in grads.items() if grad is None or not grad.isfinite().all()] == []
    # A bias before a norm or softmax may have no effect, a weight always has.
    assert [key for key, grad in grads.items() if key.endswith("weight") and grad is not None and not grad.any()] == []


@pytest.mark.parametrize(("name", "config"), ROWS)
def test_a_fresh_network_knows_nothing(name: str, config: Mapping[str, object]) -> None:
    """Its loss on noise is that of guessing."""
    row = variant(name)
    model = create(name, num_classes=row.num_classes, in_channels=row.input_shape[0], **config).train()
    with torch.no_grad():
        x = own_input(name, model, 16 if row.params < 15e6 else 4)
        loss = nn.functional.cross_entropy(model(x), torch.randint(row.num_classes, (len(x),)))
    assert loss.item() == pytest.approx(math.log(row.num_classes), rel=0.2)


@pytest.mark.parametrize(("name", "config"), ROWS)
def test_batches_layouts_and_repeats_change_nothing(name: str, config: Mapping[str, object]) -> None:
    model = small(name, config).eval()
    batch = own_input(name, model, 3)
    with torch.inference_mode():
        whole = model(batch)
        assert torch.equal(whole, model(batch))
        single = torch.cat([model(picture[None]) for picture in batch])
        for parameter in model.parameters():
            if parameter.ndim == 4:  # three-dimensional convolutions have another layout
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
        last = model(batch.to(memory_format=torch.channels_last))
    assert whole.shape == (3, 5)
    rounding = 1e-4 * whole.abs().max().item()
    torch.testing.assert_close(single, whole, rtol=0, atol=rounding)
    torch.testing.assert_close(last, whole, rtol=0, atol=rounding)


@pytest.mark.parametrize(("name", "config"), [form for form in FORMS if not str(form.values[0]).startswith(FIXED_SIZE)])
@pytest.mark.parametrize("stem", STEMS)
def test_any_size_that_is_not_too_small_will_do(name: str, config: Mapping[str, object], stem: str) -> None:
    model = small(name, {**config, "in_channels": 1}, stem).eval()
    with torch.inference_mode():
        for height, width in ((65, 47), (model.smallest_input, 2 * model.smallest_input + 1)):
            assert model(torch.randn(1, 1, height, width)).isfinite().all()
        if model.smallest_input > 1:
            with pytest.raises(InputError, match=f"at least {model.smallest_input}×{model.smallest_input}"):
                model(torch.randn(1, 1, model.smallest_input - 1, 64))


@pytest.mark.parametrize(
    ("name", "config"),
    TRACED,
)
def test_it_can_be_exported(name: str, config: Mapping[str, object]) -> None:
    model = small(name, config).eval()
    x = own_input(name, model)
    with torch.inference_mode():
        exported = torch.export.export(model, (x,), dynamic_shapes=({0: torch.export.Dim("batch")},)).module()
        torch.testing.assert_close(exported(x[:1]), model(x[:1]))


def skipping(name: str, config: Mapping[str, object]) -> Network:
    """The network with stochastic depth where its family has it: traces of training contain its draws."""
    drops = {"drop_path": 0.5} if hasattr(variant(name).config, "drop_path") else {}
    return small(name, {**config, **drops})


@pytest.mark.parametrize(("name", "config"), KINDS)
@pytest.mark.parametrize(
    "training", [pytest.param(False, marks=pytest.mark.slow, id="eval"), pytest.param(True, id="train")]
)
def test_a_symbolic_trace_computes_what_the_network_does(
    name: str, config: Mapping[str, object], training: bool
) -> None:
    model = skipping(name, config).train(training)
    x = own_input(name, model)
    traced = torch.fx.symbolic_trace(model)
    torch.manual_seed(1)
    with torch.no_grad():
        expected = model(x)
        torch.manual_seed(1)
        assert torch.equal(traced(x), expected)
    assert "check" not in traced.code  # nothing but the network's own operations


@pytest.mark.filterwarnings("ignore:NOTE. The nodes:UserWarning")  # stochastic depth is in one of the modes
@pytest.mark.parametrize(("name", "config"), TRACED)
def test_torchvisions_feature_extractor_takes_stages_by_name(name: str, config: Mapping[str, object]) -> None:
    from torchvision.models.feature_extraction import create_feature_extractor, get_graph_node_names

    model = skipping(name, config).eval()
    last = f"trunk.{len(model.trunk) - 1}"
    assert any(node.startswith(last) for node in get_graph_node_names(model)[1])
    x = own_input(name, model)
    with torch.inference_mode():
        found = create_feature_extractor(model, {last: "last", "head": "logits"})(x)
        assert torch.equal(found["last"], model.trunk(model.stem(x)))
        assert torch.equal(found["logits"], model(x))


@pytest.mark.filterwarnings("ignore:.*torch.jit.*deprecated")
@pytest.mark.parametrize(
    ("name", "config"), [pytest.param(*row.values, id=row.id, marks=pytest.mark.slow) for row in KINDS[len(FORMS) :]]
)
def test_torchscript_compiles_and_traces_it(name: str, config: Mapping[str, object], tmp_path: Path) -> None:
    """Warnings are errors here: the trace decides nothing by the values of its input."""
    model = skipping(name, config).eval()
    x = own_input(name, model)
    with torch.no_grad():
        torch.jit.script(model).save(tmp_path / "scripted.pt")
        torch.testing.assert_close(torch.jit.load(tmp_path / "scripted.pt")(x), model(x))
        torch.testing.assert_close(torch.jit.trace(model, x)(x[:1]), model(x[:1]))
        scripted = torch.jit.script(model.train())
    assert scripted(x).shape == (2, 5)


@pytest.mark.filterwarnings("ignore:.*torch.jit.*deprecated")
@pytest.mark.parametrize("name", ["spectral_mlp", "resnet_9_x0_25"])
def test_torchscript_compiles_the_base_of_all_networks(name: str) -> None:
    model = small(name, {}).eval()
    x = own_input(name, model)
    with torch.no_grad():
        torch.testing.assert_close(torch.jit.script(model)(x), model(x))


@pytest.mark.parametrize("padding", ["same", "tf_same"])
def test_a_trace_of_either_padding_takes_any_size(padding: str) -> None:
    model = small("mobilenet_v1_x0_25", {"stages": [[64, 1, 1], [128, 2, 2]], "padding": padding}).eval()
    traced = torch.fx.symbolic_trace(model)
    with torch.no_grad():
        for sides in ((64, 47), (33, 34), (7, 8)):
            x = torch.randn(1, 3, *sides)
            assert torch.equal(traced(x), model(x))


def test_an_export_leaves_height_and_width_apart() -> None:
    """A check that compares one side with the other would fix their order in the exported program."""
    model = small("mobilenet_v1_x0_25", {"stages": [[64, 1, 1], [128, 2, 2]]}).eval()
    height, width = torch.export.Dim("height", min=5, max=400), torch.export.Dim("width", min=5, max=400)
    wide = torch.randn(1, 3, 32, 64)
    exported = torch.export.export(model, (wide,), dynamic_shapes=({2: height, 3: width},)).module()
    tall = torch.randn(1, 3, 64, 32)
    with torch.no_grad():
        torch.testing.assert_close(exported(tall), model(tall))


@pytest.mark.parametrize("name", SMALLEST.values())
def test_every_network_is_stem_trunk_head(name: str) -> None:
    model = weightless(name)
    assert [part for part, _ in model.named_children()] == ["stem", "trunk", "head"]
    assert isinstance(model.head.linear, nn.Linear)


def digest_of(model: Network) -> str:
    """Of every key of the state with its shape, in order."""
    listed = [[key, *value.shape] for key, value in model.state_dict().items()]
    return hashlib.sha256(json.dumps(listed).encode()).hexdigest()[:16]


@pytest.mark.parametrize("name", EVERY)
def test_state_keys_and_shapes_are_those_of_kept_weights(name: str) -> None:
    """A changed key would orphan every file of weights: state_keys.json gets rows for new networks, and no others.

    But where a network comes to compute something else its keys must change too, so that weights of before are refused.
    """
    assert digest_of(weightless(name)) == json.loads(STATE_KEYS.read_text(encoding="utf-8"))[name]


@pytest.mark.parametrize(("name", "config"), FORMS)
@pytest.mark.parametrize("shape", [(2, 2, 32, 32), (3, 32, 32), (2, 32, 32, 3), (2, 3)])
def test_another_shape_is_refused_with_both(name: str, config: Mapping[str, object], shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError) as caught:
        weightless(name, **config)(torch.zeros(shape, device="meta"))
    assert f"(B, {variant(name).input_shape[0]}, H, W)" in str(caught.value)
    assert str(shape) in str(caught.value)


@pytest.mark.parametrize("name", ["mobilenet_v1", "mobilenet_v2", "efficientnet_b0"])
@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"width": 0}, "'width' must be above 0, not 0"),
        ({"width": -1.0}, "not -1.0"),
        ({"width": float("nan")}, "not nan"),
        ({"width": float("inf")}, "not inf"),
        ({"width": "wide"}, "'width' must be a number, not 'wide'"),
        ({"dropout": 1}, "'dropout' must be at least 0 and below 1, not 1"),
        ({"dropout": -0.1}, "not -0.1"),
        (
            {"activation": "gelu"},
            "'activation' must be one of relu, relu6, leaky_relu_0.1, silu, hardswish, not 'gelu'",
        ),
        ({"activation": None}, "leaky_relu_0.1, silu, hardswish, not None"),
        ({"widht": 0.5}, "unknown Config field 'widht'; did you mean 'width'?"),
        ({"num_classes": -1}, "num_classes must be a whole number of at least 0, not -1"),
        ({"num_classes": 2.0}, "not 2.0"),
        ({"in_channels": "3"}, "not '3'"),
        ({"num_classes": True}, "not True"),
        ({"stem_channels": 0}, "'stem_channels' must be at least 1, not 0"),
        ({"stem": "cifr"}, "unknown stem 'cifr'; did you mean 'cifar'?"),
        ({"stem": "huge"}, "unknown stem 'huge'; there are imagenet, cifar"),
    ],
)
def test_what_cannot_be_built_is_refused_with_the_value_and_the_rule(name: str, config: dict, said: str) -> None:
    with pytest.raises(InputError) as caught:
        create(name, **config)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_names_are_unique_and_in_the_order_of_the_tables() -> None:
    assert names() == NAMES
    assert len(set(NAMES)) == len(NAMES)


@pytest.mark.parametrize(
    ("name", "config", "said"),
    [
        ("mobilenet_v1", {"stages": [[16, 0, 1]]}, "'stages' must be at least 1"),
        ("resnet18", {"groups": 32}, "a basic block cannot be grouped (groups=32"),
        ("resnet18", {"drop_path": 5}, "'drop_path' must be at least 0 and below 1, not 5"),
        ("resnet_9", {"groups": 4}, "unknown Config field 'groups'"),
        ("resnext50_32x4d", {"channels": 8}, "channels must be at least 16"),
        ("shufflenet_v1_g3_x1_0", {"groups": 5}, "'groups' must be one of 1, 2, 3, 4, 8, not 5"),
        ("shufflenet_v1_g3_x1_0", {"width": 0.77}, "3 groups do not divide bottlenecks"),
        ("shufflenet_v1_g3_x1_0", {"width": 0.05}, "3 groups do not divide bottlenecks"),
        ("shufflenet_v1_g8_x1_0", {"width": 0.3}, "8 groups do not divide bottlenecks"),
        ("shufflenet_v1_g3_x0_25", {"groups": 2}, "2 groups do not divide bottlenecks"),
        ("shufflenet_v2_x0_5", {"channels": (48, 96)}, "an even number for each of 'blocks'"),
        ("shufflenet_v2_x0_5", {"channels": (48, 97, 192)}, "an even number for each of 'blocks'"),
        ("vgg11", {"channels": (64, 128)}, "a number for each of 'blocks'"),
        ("vgg11", {"bn_eps": 1e-3}, "needs batch_norm"),
        ("vgg11", {"padding": "tf_same"}, "unknown Config field 'padding'"),
        ("vgg11", {"hidden": 128, "stem": "cifar"}, "no effect with the stem 'cifar'"),
        ("hybrid_sn", {"bn_eps": 1e-3}, "needs batch_norm"),
        ("vit_ti_16", {"heads": 5}, "'d' (192) must be divisible by 'heads' (5)"),
        ("vit_ti_16", {"heads": 0}, "must be divisible by 'heads' (0)"),
        ("vit_ti_16", {"size": 0}, "'size' must be at least 1, not 0"),
        ("vit_ti_16", {"size": 225}, "not divisible by the patches of 16"),
        ("vit_ti_16", {"blocks": 3}, "'blocks' must be at least 4, not 3"),
    ],
)
def test_what_a_family_cannot_be_is_explained(name: str, config: dict, said: str) -> None:
    with pytest.raises(InputError) as caught:
        create(name, **({"in_channels": variant(name).input_shape[0]} | config))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_numpys_numbers_count() -> None:
    model = create("mobilenet_v1_x0_25", num_classes=np.int64(3))
    model.reset_head(np.int64(4))
    assert model.head.linear.out_features == 4
    for wrong in (-1, 2.5, "3", True):
        with pytest.raises(InputError, match="num_classes must be a whole number of at least 0"):
            model.reset_head(wrong)


@pytest.mark.parametrize(("phi", "times"), [(0, 1.0), (1, 2.0), (2, 4.0)])
def test_compound_scaling_about_doubles_the_work(phi: float, times: float) -> None:
    """More than doubles at first: blocks are rounded up."""
    fields, size = compound(phi)
    scaled = count(weightless("efficientnet_b0", **fields).eval(), (3, size, size))
    assert scaled.macs / variant("efficientnet_b0").macs == pytest.approx(times, rel=0.3)
    if phi == 0:
        assert (scaled.params, size) == (variant("efficientnet_b0").params, 224)


PEERS = {
    "torchvision": {name: f"torchvision:{name}" for name in NAMES},
    "timm": {
        "mobilenet_v1": "timm:mobilenetv1_100",
        "mobilenet_v1_x1_25": "timm:mobilenetv1_125",
        "vit_ti_16": "timm:vit_tiny_patch16_224",
        "vit_s_16": "timm:vit_small_patch16_224",
        "se_resnext50_32x4d": "timm:seresnext50_32x4d",
        "se_resnet50": "timm:seresnet50",
    },
}


def test_counts_are_those_of_the_published_references() -> None:
    """Measured of the peers' own implementations, and kept beside the data."""
    root = os.environ.get("PENNYWEIGHT_DATA")
    file = Path(root or "nowhere").parent / "facts" / "reference_counts.json"
    if not file.exists():
        pytest.skip("there are no reference counts beside PENNYWEIGHT_DATA")
    known = json.loads(file.read_text(encoding="utf-8"))
    shared = [(name, known[peer]) for peers in PEERS.values() for name, peer in peers.items() if peer in known]
    assert len(shared) >= 30
    for name, reference in shared:
        row = variant(name)
        assert (name, row.params, row.macs, list(row.input_shape)) == (
            name,
            reference["params"],
            reference["macs"],
            reference["input"],
        )
