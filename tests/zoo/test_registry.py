"""Networks by name."""

import json

import pytest
import torch

from pennyweight.core.errors import InputError
from pennyweight.cost import count
from pennyweight.zoo import build, create, names, registry, sketch, variant


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("mobilenet_v1", ["mobilenet_v1"]),
        ("mobilenet_v1_x0*5", ["mobilenet_v1_x0_25", "mobilenet_v1_x0_5", "mobilenet_v1_x0_75"]),
        ("mobilenet_v2_x?_4", ["mobilenet_v2_x1_4"]),
        ("MOBILENET*", []),
        ("", []),
    ],
)
def test_names_are_matched_as_in_a_shell(pattern: str, expected: list[str]) -> None:
    assert names(pattern) == expected


@pytest.mark.parametrize("ask", [create, variant])
def test_an_unknown_name_is_refused_with_the_nearest(ask) -> None:
    with pytest.raises(InputError, match=r"^unknown network 'mobilnet_v2'; did you mean 'mobilenet_v2'\?$"):
        ask("mobilnet_v2")
    with pytest.raises(InputError, match="unknown network 'zzz'; `pennyweight names` lists them"):
        ask("zzz")


def test_fields_of_the_config_are_changed_by_name() -> None:
    half = count(create("mobilenet_v2", width=0.5), (3, 224, 224))
    row = variant("mobilenet_v2_x0_5")
    assert (half.params, half.macs) == (row.params, row.macs)
    assert create("mobilenet_v1", dropout="0.25").head.dropout.p == 0.25


def test_a_network_comes_back_from_what_json_keeps() -> None:
    stages = [[16, 1, 1], [32, 2, 2]]
    kept = json.loads(json.dumps({"width": 0.5, "activation": "relu6", "stages": stages}))
    again = build("mobilenet_v1", num_classes=4, in_channels=1, stem="cifar", config=kept)
    ours = create("mobilenet_v1", num_classes=4, in_channels=1, stem="cifar", **kept)
    assert {k: v.shape for k, v in again.state_dict().items()} == {k: v.shape for k, v in ours.state_dict().items()}
    assert [len(stage) for stage in again.trunk] == [1, 2]
    assert again.eval()(torch.zeros(1, 1, 8, 8)).shape == (1, 4)


def test_a_config_field_never_stands_for_another_argument() -> None:
    with pytest.raises(InputError, match="unknown Config field 'num_classes'"):
        build("mobilenet_v1", num_classes=4, in_channels=3, stem="cifar", config={"num_classes": 5})


HUGE = [
    ("mobilenet_v2", {"stages": [[6, 16, 10**9, 1, 1]]}),
    ("efficientnet_b0", {"depth": 1e9}),
    ("resnet18", {"blocks": [2, 2, 2, 10**9]}),
    ("vit_b_16", {"blocks": 10**9}),
    ("timm:resnet18", {"layers": [10**9, 1, 1, 1]}),
]


@pytest.mark.parametrize(("name", "config"), HUGE, ids=[name for name, _ in HUGE])
def test_a_billion_blocks_are_refused_while_they_are_made(
    name: str, config: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    if name.startswith("timm:"):
        pytest.importorskip("timm")
    monkeypatch.setattr(registry, "MOST_MODULES", 300)
    with pytest.raises(InputError, match=f"'{name}' with this Config has more than 300 modules; take fewer blocks"):
        sketch(name, num_classes=2, in_channels=3, stem=None, config=config)


def test_a_width_beyond_memory_is_refused() -> None:
    with pytest.raises(InputError, match="'mobilenet_v2' cannot be made with this Config: "):
        sketch("mobilenet_v2", num_classes=2, in_channels=3, stem=None, config={"width": 1e9})


@pytest.mark.parametrize("field", ["checkpoint_path", "pretrained_cfg", "pretrained_cfg_overlay", "cache_dir"])
def test_a_config_of_timm_opens_no_file_of_its_own(field: str) -> None:
    pytest.importorskip("timm")
    with pytest.raises(InputError, match=rf"names weights \({field}\); give them by --weights"):
        build("timm:resnet18", num_classes=2, in_channels=3, stem=None, config={field: "/etc/passwd"})


def test_two_networks_of_one_name_start_different() -> None:
    torch.manual_seed(0)
    one, other = create("mobilenet_v1_x0_25"), create("mobilenet_v1_x0_25")
    assert not torch.equal(one.head.linear.weight, other.head.linear.weight)
    torch.manual_seed(0)
    assert torch.equal(one.head.linear.weight, create("mobilenet_v1_x0_25").head.linear.weight)


def test_a_network_without_values_is_made_once_for_equal_questions() -> None:
    """As `run.json` spells them too: with lists for tuples."""
    how = {"num_classes": 3, "in_channels": 3, "stem": "cifar"}
    first = sketch("mobilenet_v1_x0_25", **how, config={"stages": ((32, 1, 1), (64, 1, 2))})
    assert sketch("mobilenet_v1_x0_25", **how, config={"stages": [[32, 1, 1], [64, 1, 2]]}) is first
    for other in ({"config": {}}, {"num_classes": 4}, {"stem": None}, {"in_channels": 1}):
        asked = {**how, "config": {"stages": [[32, 1, 1], [64, 1, 2]]}, **other}
        assert sketch("mobilenet_v1_x0_25", **asked) is not first
    assert not first.training
    with pytest.raises(InputError, match="must be above 0"):
        sketch("mobilenet_v1_x0_25", **how, config={"width": 0})
