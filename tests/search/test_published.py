"""Accuracies before training: published ones are taken, others interpolated, and unknown families have none."""

import pytest

from pennyweight.search.counted import count_candidate
from pennyweight.search.published import INTERPOLATED, PUBLISHED, Priors
from pennyweight.search.space import Candidate


@pytest.fixture(scope="module")
def priors() -> Priors:
    def count(candidate: Candidate) -> tuple[int, int]:
        counted = count_candidate(candidate)
        return counted.params, counted.macs

    return Priors.learn(count)


def prior(priors: Priors, name: str, size: int, **config: float) -> object:
    counted = count_candidate(Candidate(name, config, size, ""))
    return priors(counted.candidate, counted.params, counted.macs)


def test_a_published_accuracy_is_taken_as_it_is(priors: Priors) -> None:
    assert prior(priors, "mobilenet_v2", 160, width=0.5) == (pytest.approx(0.610), 0.0, PUBLISHED)
    assert prior(priors, "efficientnet_b0", 224) == (pytest.approx(0.771), 0.0, PUBLISHED)
    assert prior(priors, "mobilenet_v2_x0_5", 160) == (pytest.approx(0.610), 0.0, PUBLISHED)


def test_an_accuracy_between_published_ones_is_interpolated(priors: Priors) -> None:
    low, middle, high = (prior(priors, "mobilenet_v2", size, width=0.6) for size in (128, 160, 224))
    assert middle.kind == INTERPOLATED
    assert 0.577 < low.accuracy < middle.accuracy < high.accuracy < 0.698
    assert middle.error == priors.error


def test_half_of_left_out_networks_are_interpolated_within_a_point(priors: Priors) -> None:
    assert priors.median_error < 0.01
    assert priors.error < 0.05


def test_a_family_without_published_accuracies_has_none(priors: Priors) -> None:
    assert prior(priors, "resnet_9", 64) is None


@pytest.mark.parametrize(("size", "width"), [(8, 1.0), (224, 100.0), (4096, 1.0)])
def test_a_network_far_from_the_published_ones_has_none(priors: Priors, size: int, width: float) -> None:
    assert prior(priors, "mobilenet_v2", size, width=width) is None
