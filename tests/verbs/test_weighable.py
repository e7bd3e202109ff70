"""Everything that can be weighed by a name."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import pennyweight as pw
from pennyweight.core.errors import InputError
from pennyweight.core.machine import machine
from pennyweight.cost import MachineProfile
from pennyweight.cost.timing.machine_profile import FORMAT, make_profile, profile_path
from pennyweight.cost.timing.roofline import Limits
from pennyweight.verbs.weigh import weigh_all


def test_torchvisions_networks_are_counted_as_they_say() -> None:
    from torchvision import models

    said = models.ResNet18_Weights.DEFAULT.meta
    cost = pw.weigh("torchvision:resnet18")
    assert cost.params == said["num_params"]
    assert cost.macs == pytest.approx(said["_ops"] * 1e9, rel=1e-3)
    assert pw.weigh("torchvision:efficientnet_b3").input_shape == (3, 300, 300)


def test_a_network_that_reads_values_while_it_is_made() -> None:
    state = torch.get_rng_state()
    assert pw.weigh("torchvision:regnet_y_400mf", (3, 64, 64)).params == 4_344_144
    assert torch.equal(torch.get_rng_state(), state)


def test_timms_networks() -> None:
    cost = pw.weigh("timm:mobilenetv3_small_050")
    assert cost.input_shape == (3, 224, 224)
    assert cost.params == 1_593_224


def test_a_callable_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_networks.py").write_text(
        "from torch import nn\n\ndef tiny():\n    return nn.Conv2d(3, 8, 1)\n\ntiny_one = tiny()\nnumber = int\n"
        "def broken():\n    raise OSError('no file')\n"
    )
    (tmp_path / "not_python.py").write_text("def\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "own_networks", raising=False)
    for name in ("own_networks:tiny", "own_networks:tiny_one"):
        assert pw.weigh(name, (3, 4, 4)).macs == 16 * 24
    with pytest.raises(InputError, match=r"has no 'tini'; did you mean 'tiny'\?"):
        pw.weigh("own_networks:tini", (3, 4, 4))
    with pytest.raises(InputError, match="type int came in place of a network"):
        pw.weigh("own_networks:number", (3, 4, 4))
    with pytest.raises(InputError, match=r"own_networks:broken is called without arguments.* OSError: no file"):
        pw.weigh("own_networks:broken", (3, 4, 4))
    with pytest.raises(InputError, match="'not_python' cannot be imported: SyntaxError"):
        pw.weigh("not_python:tiny", (3, 4, 4))
    with pytest.raises(InputError, match="needs its input shape"):
        pw.weigh("own_networks:tiny")
    assert str(tmp_path) not in sys.path


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("torchvision:resnet81", "did you mean 'resnet18'"),
        ("timm:mobilenetv3_smal_050", "did you mean 'mobilenetv3_small_050'"),
        ("no_such_module:thing", "no Python module 'no_such_module'"),
        ("scene:synthetic", "scene:synthetic is a scene, not a network; weigh one that classifies scenes: hybrid_sn"),
        ("torchvison:resnet18", "did you mean 'torchvision'"),
        ("json:JSONDecoder.decod", "module 'json' has no 'JSONDecoder.decod'; did you mean 'decode'"),
        ("json:JSONDecoder.decode", "is called without arguments"),
        ("", "a network's name is text"),
        ("mobilenet_v22", "did you mean 'mobilenet_v2'"),
    ],
)
def test_a_wrong_name_is_answered_with_the_nearest(name: str, words: str) -> None:
    with pytest.raises(InputError) as caught:
        pw.weigh(name, (3, 32, 32))
    assert words in str(caught.value)


def test_a_network_whose_way_depends_on_values_is_made_with_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "decides.py").write_text(
        "from torch import nn\n"
        "class Decides(nn.Linear):\n"
        "    def forward(self, x):\n"
        "        out = super().forward(x)\n"
        "        return out if out.sum() > 0 else out + 1\n"
        "def made(): return Decides(4, 2)\n"
    )
    monkeypatch.chdir(tmp_path)
    cost = pw.weigh("decides:made", (4,))
    assert cost.macs == 8
    assert "real forward pass" in cost.notes[0]
    with pytest.raises(InputError, match=r"takes \(…, 4\)"):
        pw.weigh("decides:made", (5,))


def test_a_stem_is_for_our_own() -> None:
    with pytest.raises(InputError, match="has no stem 'cifar'"):
        pw.weigh("torchvision:resnet18", stem="cifar")


def test_several_are_weighed_and_measured_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENNYWEIGHT_CACHE", str(tmp_path))
    names = ("mobilenet_v1_x0_25", "torchvision:shufflenet_v2_x0_5")
    networks = weigh_all(names, (3, 32, 32), measure=True, repeats=2)
    assert [network.name for network in networks] == list(names)
    assert all(network.measured_ms > 0 and network.predicted_ms is None for network in networks)
    assert networks[0].cost == pw.weigh(names[0], (3, 32, 32))


def test_a_time_that_is_that_of_another_precision_is_said_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "halved.py").write_text("from torch import nn\nnetwork = nn.Linear(4, 2).bfloat16()\n")
    monkeypatch.chdir(tmp_path)
    limits = Limits(macs_per_s={"float32": 1e9}, bytes_per_s={"memory": 1e9}, level_bytes={}, overhead_s=1e-6)
    monkeypatch.setattr(MachineProfile, "load", lambda: make_profile(limits, {}))
    (halved,) = weigh_all(["halved:network"], (4,))
    assert halved.guessed_share == 1
    assert "bfloat16" in halved.cost.notes[0]


def test_a_name_that_is_none_is_said_before_a_shape_is_asked_for() -> None:
    with pytest.raises(InputError, match="no Python module 'no_such_module'"):
        pw.weigh("no_such_module:thing")
    with pytest.raises(InputError, match="module 'json' has no 'x'"):
        pw.weigh("json:x")


def test_an_input_that_was_chosen_is_named() -> None:
    assert pw.weigh("torchvision:vit_b_16").notes == (
        "counted on 3x384x384, the input that torchvision gives for its best weights",
    )
    assert pw.weigh("torchvision:vit_b_16", (3, 224, 224)).notes == ()


def test_a_named_network_takes_an_image() -> None:
    with pytest.raises(InputError, match="take channels, height and width, such as 3x224x224, not 224"):
        pw.weigh("torchvision:resnet18", (224,))
    with pytest.raises(InputError, match="did you mean 3x64x64 in place of 64x64x3"):
        pw.weigh("mobilenet_v2", (64, 64, 3))


def test_threads_without_a_profile_are_said_to_have_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENNYWEIGHT_CACHE", str(tmp_path))
    monkeypatch.setattr(torch, "get_num_threads", lambda: 64)
    assert weigh_all(["mobilenet_v1_x0_25"], (3, 32, 32))[0].cost.notes == ()  # nothing is known of any
    for threads in (1, 16):
        path = profile_path(threads)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"format": FORMAT, "machine": machine()}))
    profile_path(2).write_text("{}")
    profile_path(4).write_text("damaged")
    (weighed,) = weigh_all(["mobilenet_v1_x0_25"], (3, 32, 32))
    assert weighed.cost.notes == (
        "no time is predicted: this machine's profiles are for --threads 1, 16, not 64; "
        "`pennyweight bench --machine --threads 64` makes one",
    )


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"format": FORMAT - 1, "machine": machine()}, "was measured by another version of Pennyweight"),
        ({"format": FORMAT, "machine": {"cpu": "other"}}, "was measured on another machine"),
    ],
)
def test_a_profile_that_is_not_used_is_named(
    values: dict[str, Any], reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PENNYWEIGHT_CACHE", str(tmp_path))
    threads = torch.get_num_threads()
    path = profile_path(threads)
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(values))
    (note,) = weigh_all(["mobilenet_v1_x0_25"], (3, 32, 32))[0].cost.notes
    make = f"`pennyweight bench --machine --threads {threads}` makes one"
    assert note == f"no time is predicted: {path} {reason}; {make}"


@pytest.mark.parametrize("name", ["gone.onnx", "runs/gone"])
def test_a_file_that_is_not_there_is_no_misspelt_network(name: str) -> None:
    with pytest.raises(InputError, match=f"there is no {name}; what can be weighed: a network's name, a run's folder"):
        pw.weigh(name)
