"""A space is every combination of a table's lists; what cannot be meant is refused in a line."""

from pathlib import Path

import pytest

from pennyweight.core.errors import InputError
from pennyweight.search.counted import count_candidate, count_candidates, make
from pennyweight.search.space import Candidate, candidates_of, read_space


def test_the_usual_space_has_a_thousand_candidates_and_each_once() -> None:
    candidates = candidates_of(read_space())
    assert len(candidates) >= 1050
    assert len({candidate.name for candidate in candidates}) == len(candidates)


def test_every_combination_is_named_by_what_was_changed() -> None:
    table = {"network": "mobilenet_v2", "sizes": [96, 128], "width": [0.5, 1.0], "depth": [1.0, 1.5]}
    names = [candidate.name for candidate in candidates_of([table])]
    assert len(names) == 8
    assert names[:2] == ["mobilenet_v2 width=0.5 at 96", "mobilenet_v2 width=0.5 at 128"]
    assert "mobilenet_v2 width=0.5 depth=1.5 at 96" in names
    assert "mobilenet_v2 at 128" in names


def test_a_form_is_a_set_of_fields() -> None:
    table = {"network": "efficientnet_b0", "sizes": 96, "forms": [{}, {"se": False, "activation": "relu6"}]}
    plain, friendly = candidates_of([table])
    assert plain.config == {}
    assert friendly.config == {"se": False, "activation": "relu6"}


@pytest.mark.parametrize(
    ("name", "field", "depth", "expected"),
    [("resnet18", "blocks", 0.5, (1, 1, 1, 1)), ("shufflenet_v2_x0_5", "blocks", 1.5, (6, 12, 6)),
     ("vit_ti_16", "blocks", 0.5, 6)],
)  # fmt: skip
def test_depth_multiplies_the_blocks_of_each_stage(name: str, field: str, depth: float, expected: object) -> None:
    (candidate,) = candidates_of([{"network": name, "depth": depth}])
    assert candidate.config == {field: expected}


def test_equal_networks_are_one_candidate() -> None:
    table = {"network": ["mobilenet_v2", "mobilenet_v2"], "sizes": [96, 96], "width": [1.0, 1.0]}
    assert [candidate.name for candidate in candidates_of([table])] == ["mobilenet_v2 at 96"]


def test_a_pattern_and_another_librarys_name_are_taken() -> None:
    found = candidates_of([{"network": ["resnet1?", "torchvision:resnet18"]}])
    assert [candidate.network for candidate in found] == ["resnet18", "torchvision:resnet18"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "needs a table"),
        ("[[candidates]]\nwidth = 1.0", "needs a network"),
        ("[[candidates]]\nnetwork = 'mobilnet_v2'", "did you mean 'mobilenet_v2'"),
        ("[[candidates]]\nnetwork = 'mobilenet_v2'\nwidht = [1.0]", "widht"),
        ("[[candidates]]\nnetwork = 'mobilenet_v2'\nsizes = []", "lists no value"),
        ("[[candidates]]\nnetwork = 'mobilenet_v2'\nsizes = ['big']", "whole numbers of pixels"),
        ("[[candidates]]\nnetwork = 'mobilenet_v2'\ndepth = [0]", "factor above 0"),
        ("[[candidates]]\nnetwork = 'mobilenet_v2'\nforms = [1]", "sets of fields"),
        ("[[candidates]]\nnetwork = 'hybrid_sn'", "no network for pictures in color: its input is 30×25×25"),
        ("[candidate]\nnetwork = 'mobilenet_v2'", "'candidate'"),
        ("candidates = 3", "needs a table"),
        ("not toml", "cannot be read as TOML"),
    ],
)
def test_a_file_that_declares_no_space_is_refused_in_a_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "space.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as refused:
        candidates_of(read_space(path))
    assert "\n" not in str(refused.value)


def test_a_missing_file_is_refused_in_a_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_space(tmp_path / "none.toml")


def test_counts_are_those_of_the_network_with_its_head() -> None:
    candidate = Candidate("mobilenet_v1", {"width": 0.25}, 96, "width=0.25")
    counted = count_candidate(candidate, classes=7)
    network = make(candidate, classes=7)
    assert counted.params == sum(parameter.numel() for parameter in network.parameters())
    usual = count_candidate(candidate)
    assert (counted.published_params, counted.published_macs) == (usual.params, usual.macs)
    assert usual.params == 470_072


def test_a_combination_that_its_network_refuses_is_named() -> None:
    table = {"network": "shufflenet_v1_g3_x1_0", "width": [0.25, 1.0], "groups": [4]}
    counted, refused = count_candidates(candidates_of([table]), None)
    assert [each.candidate.config["groups"] for each in counted] == [4]
    assert "4 groups do not divide" in refused["shufflenet_v1_g3_x1_0 width=0.25 groups=4 at 224"]
