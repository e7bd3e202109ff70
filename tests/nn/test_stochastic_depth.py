import pytest
import torch
from torchvision.ops import StochasticDepth as Theirs

from pennyweight.nn.stochastic_depth import StochasticDepth


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("rate", [0.0, 0.3, 0.9])
@pytest.mark.parametrize("shape", [(64, 5), (8, 3, 4, 4), (4, 7, 2)])
def test_it_draws_and_gives_the_bits_of_torchvisions(shape: tuple[int, ...], rate: float, training: bool) -> None:
    x = torch.randn(shape)
    answers = []
    for layer in (StochasticDepth(rate), Theirs(rate, "row")):
        torch.manual_seed(1)
        answers.append((layer.train(training)(x), torch.rand(1)))
    (ours, after), (theirs, theirs_after) = answers
    assert torch.equal(ours, theirs)
    assert torch.equal(after, theirs_after)
