"""ImageNet's classes: their names, and folders that are called by their synsets."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from pennyweight.core.errors import SourceError
from pennyweight.core.labels import imagenet, numbers_of


def test_the_names_are_torchvisions() -> None:
    from torchvision.models import MobileNet_V2_Weights

    assert imagenet() == tuple(MobileNet_V2_Weights.IMAGENET1K_V1.meta["categories"])
    assert len(set(imagenet())) == 1000


def test_synsets_stand_where_the_published_index_has_them() -> None:
    root = os.environ.get("PENNYWEIGHT_DATA")
    if not root:
        pytest.skip("PENNYWEIGHT_DATA is not set")
    index = json.loads((Path(root) / "imagenet-photos" / "imagenet_class_index.json").read_text())
    synsets = [index[str(number)][0] for number in range(1000)]
    assert numbers_of(synsets, imagenet(), source="photos") == list(range(1000))


def test_classes_are_found_by_name_and_imagenets_by_synset() -> None:
    assert numbers_of(["b", "a"], ("a", "b", "c"), source="s") == [1, 0]
    assert numbers_of(["n01440764", "goldfish"], imagenet(), source="s") == [0, 1]
    with pytest.raises(SourceError, match="s has a class 'n01440764' that the network does not know; it knows a, b"):
        numbers_of(["n01440764"], ("a", "b"), source="s")
    with pytest.raises(SourceError, match="'gold fish' that the network does not know; did you mean 'goldfish'"):
        numbers_of(["gold fish"], imagenet(), source="s")
    with pytest.raises(SourceError, match=r"it knows tench, .* and 990 more"):
        numbers_of(["qqqqqqqqqqqqqqq"], imagenet(), source="s")
