"""Bias of a score whose network is chosen by the pictures: labels and features are random, so that 50% is the truth.

    python benchmarks/choice_bias.py [--draws 100] [--networks 6] [--pictures 60] [--features 16]

Each draw has random labels of two classes and random features of several networks. Heads answer in five folds. Each
fold takes the most accurate network of a trial on pictures outside the fold: by heads that may have learned from it (a
trial on all pictures), or by heads that learned from no picture of it (a trial without the fold).
"""

import argparse

import numpy as np
from numpy.typing import NDArray

from pennyweight.verbs.fitting.size_trial import FOLDS, cross_validated


def trial(values: NDArray[np.float32], targets: NDArray[np.int64], which: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the answers in folds of the trial to the pictures `which` (N,)."""
    answers = cross_validated(values[which], targets[which], np.flatnonzero(which), least=2)
    assert answers is not None
    return answers


def scored(values: NDArray[np.float32], targets: NDArray[np.int64], folds: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return the answers (N,) of heads that learned from the other folds."""
    from sklearn.linear_model import LogisticRegression

    answers = np.empty(len(targets), np.bool_)
    for fold in range(FOLDS):
        other = folds != fold
        head = LogisticRegression(C=1 / np.sqrt(values.shape[1]), max_iter=200).fit(values[other], targets[other])
        answers[~other] = head.predict(values[~other]) == targets[~other]
    return answers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=100)
    parser.add_argument("--networks", type=int, default=6)
    parser.add_argument("--pictures", type=int, default=60)
    parser.add_argument("--features", type=int, default=16)
    asked = parser.parse_args()
    rows = []
    for seed in range(asked.draws):
        draw = np.random.default_rng(seed)
        half = asked.pictures // 2
        targets = draw.permutation(np.repeat([0, 1], half))
        folds = np.empty(2 * half, np.int64)
        for label in (0, 1):
            folds[targets == label] = draw.permutation(np.arange(half) % FOLDS)
        networks = [draw.normal(size=(2 * half, asked.features)).astype(np.float32) for _ in range(asked.networks)]
        answers = [scored(values, targets, folds) for values in networks]
        every = np.ones(2 * half, np.bool_)
        whole = [trial(values, targets, every) for values in networks]
        found = np.zeros(3)
        for fold in range(FOLDS):
            outside = folds != fold
            nested = [trial(values, targets, outside) for values in networks]
            touched = int(np.argmax([correct[outside].mean() for correct in whole]))
            untouched = int(np.argmax([correct.mean() for correct in nested]))
            found += [answers[number][~outside].sum() for number in (0, touched, untouched)]
        rows.append(found / (2 * half))
    scores = 100 * np.array(rows)
    names = ("the first network, without a choice", "trial on all pictures", "trial without the fold")
    errors = scores.std(axis=0, ddof=1) / np.sqrt(len(scores))
    for name, mean, error in zip(names, scores.mean(axis=0), errors, strict=True):
        print(f"{name}: {mean:.1f}% ± {error:.1f}")


if __name__ == "__main__":
    main()
