"""ImageNet's classes: their names, and folders that are called by their synsets."""

from __future__ import annotations

import json
import os
import unicodedata
from pathlib import Path

import pytest

from pennyweight.core.errors import InputError, SourceError
from pennyweight.core.labels import imagenet_labels, likely_label, match_labels, read_class_names


def test_the_names_are_torchvisions() -> None:
    from torchvision.models import MobileNet_V2_Weights

    assert imagenet_labels() == tuple(MobileNet_V2_Weights.IMAGENET1K_V1.meta["categories"])
    assert len(set(imagenet_labels())) == 1000


def test_synsets_stand_where_the_published_index_has_them() -> None:
    root = os.environ.get("PENNYWEIGHT_DATA")
    if not root:
        pytest.skip("PENNYWEIGHT_DATA is not set")
    index = json.loads((Path(root) / "imagenet-photos" / "imagenet_class_index.json").read_text())
    synsets = [index[str(number)][0] for number in range(1000)]
    assert match_labels(synsets, imagenet_labels(), source="photos") == list(range(1000))


def test_classes_are_found_by_name_and_imagenets_by_synset() -> None:
    assert match_labels(["b", "a"], ("a", "b", "c"), source="s") == [1, 0]
    assert match_labels(["n01440764", "goldfish"], imagenet_labels(), source="s") == [0, 1]
    with pytest.raises(SourceError, match="s has a class 'n01440764' that the network does not know; it knows a, b"):
        match_labels(["n01440764"], ("a", "b"), source="s")
    with pytest.raises(
        SourceError, match=r"it knows tench, .* and 990 more; did you mean --rename 'gold fish=goldfish'"
    ):
        match_labels(["gold fish"], imagenet_labels(), source="s", rename={})
    with pytest.raises(SourceError, match=r"and 990 more; --rename NAME=LABEL gives the label"):
        match_labels(["qqqqqqqqqqqqqqq"], imagenet_labels(), source="s", rename={})


@pytest.mark.parametrize(
    ("name", "labels", "meant"),
    [
        ("cats", ("Dog", "Cat"), "Cat"),
        ("CATS", ("cats", "dogs"), "cats"),
        ("golden retriever", ("golden_retriever", "poodle"), "golden_retriever"),
        ("cafe", ("café", "bar"), "café"),
        ("n01440764", ("goldfish", "tench"), "tench"),
        ("tench", ("n01443537", "n01440764"), "n01440764"),
        ("labradr", ("labrador", "poodle"), "labrador"),
        ("zebra", ("cat", "dog"), None),
    ],
)
def test_what_a_name_is_likely_to_mean(name: str, labels: tuple[str, ...], meant: str | None) -> None:
    assert likely_label(name, labels) == meant


def test_renamed_classes_are_found() -> None:
    labels = ("Cats", "Dogs")
    assert match_labels(["dogs", "Cats"], labels, source="s", rename={"dogs": "Dogs"}) == [1, 0]
    assert match_labels(["cats", "kittens"], labels, source="s", rename={"cats": "Cats", "kittens": "Cats"}) == [0, 0]
    with pytest.raises(SourceError, match=r"classes 'cats' and 'dogs' that .*--rename cats=Cats --rename dogs=Dogs\?"):
        match_labels(["cats", "dogs"], labels, source="s", rename={})
    with pytest.raises(SourceError, match="it knows Cats, Dogs; did you mean 'Cats'"):
        match_labels(["cats"], labels, source="s")
    with pytest.raises(InputError, match="s has no class 'cat' to rename; did you mean 'cats'"):
        match_labels(["cats"], labels, source="s", rename={"cat": "Cats"})
    with pytest.raises(InputError, match="no class 'cats' for 'felines'; did you mean --rename felines=Cats"):
        match_labels(["felines"], labels, source="s", rename={"felines": "cats"})


def test_labels_are_compared_composed(tmp_path: Path) -> None:
    apart, together = (unicodedata.normalize(form, "café") for form in ("NFD", "NFC"))
    (tmp_path / "labels.txt").write_text(f"bar\n{apart}\n", encoding="utf-8")
    assert read_class_names(tmp_path / "labels.txt") == ("bar", together)
    assert match_labels([together, apart], ("bar", apart), source="here") == [1, 1]
    assert match_labels([apart], ("bar", "shop"), source="here", rename={together: "shop"}) == [1]
