"""The digits that scikit-learn carries."""

from collections import Counter

import numpy as np
from sklearn.datasets import load_digits

from pennyweight import data


def test_digits_are_scikit_learns() -> None:
    source = data.open("digits")
    bunch = load_digits()
    assert (source.name, source.address, source.channels, source.mirrors) == ("digits", "digits", 1, False)
    assert source.labels == tuple("0123456789")
    assert len(source.samples) == 1797
    pictures = np.stack([sample.picture for sample in source.samples])
    assert pictures.dtype == np.uint8
    assert pictures.shape == (1797, 8, 8)
    assert len(np.unique(pictures)) == 17
    assert (pictures.min(), pictures.max()) == (0, 255)
    assert np.array_equal(np.round(pictures / 255 * 16), bunch.images)
    assert [sample.label for sample in source.samples] == bunch.target.tolist()


def test_digits_are_split_by_class() -> None:
    splits = data.split(data.open("digits"))
    assert sum(splits.counts.values()) == 1797
    for name in data.SPLITS:
        counts = Counter(sample.label for sample in splits[name])
        assert len(counts) == 10
        share = sum(counts.values()) / 1797
        assert abs(share - {"train": 0.7, "val": 0.15, "test": 0.15}[name]) < 0.03
    assert data.split(data.open("digits")).counts == splits.counts


def test_digits_have_one_fingerprint() -> None:
    assert data.open("digits").fingerprint == data.open("digits").fingerprint
