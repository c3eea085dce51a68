"""Passes of one decoder at several positions: the numbers and gradients of automatic differentiation."""

import pytest
import torch
from torch import Tensor

from riemaug.models.dense_passes import DensePasses
from riemaug.models.networks import MLPDecoder, Passes, PlainPasses


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def decoder_of(hidden: tuple[int, ...], num_conditions: int) -> MLPDecoder:
    return MLPDecoder(3, hidden, 8, num_conditions, generator()).double()


def along_a_path(passes: Passes, start: Tensor, target: Tensor) -> Tensor:
    """A few steps uphill in log p(x|z), each made of the score at the last position."""
    latent, total = passes.begin(start), torch.zeros(())
    for _ in range(3):
        logits, pullback = passes.at(latent)
        score = pullback(target - torch.sigmoid(logits))
        latent = latent + 0.5 * score
        total = total + (score.sin().sum() + (logits * target).sum())
    return total


@pytest.mark.parametrize("hidden", [(7,), (7, 6), (5, 6, 7)])
@pytest.mark.parametrize("num_conditions", [0, 2])
def test_value_and_gradients_are_those_of_autograd(hidden: tuple[int, ...], num_conditions: int) -> None:
    decoder = decoder_of(hidden, num_conditions)
    features = torch.rand(4, num_conditions, generator=generator(5)) if num_conditions else None
    start = torch.randn(4, 3, generator=generator(1), dtype=torch.float64).requires_grad_()
    target = torch.rand(4, 8, generator=generator(2), dtype=torch.float64)
    by_hand = decoder.passes(features)
    assert isinstance(by_hand, DensePasses)
    ours, theirs = (
        along_a_path(passes, start, target) for passes in (by_hand, PlainPasses(decoder, features))
    )
    assert float(ours.detach()) == pytest.approx(float(theirs.detach()), abs=1e-12)
    inputs = [start, *decoder.parameters()]
    for one, two in zip(torch.autograd.grad(ours, inputs), torch.autograd.grad(theirs, inputs), strict=True):
        assert torch.allclose(one, two, atol=1e-12)
        assert float(one.abs().max()) > 1e-9


def test_a_second_backward_pass_gives_the_same_gradients() -> None:
    decoder = decoder_of((7,), 0)
    start = torch.randn(4, 3, generator=generator(1), dtype=torch.float64).requires_grad_()
    total = along_a_path(decoder.passes(), start, torch.rand(4, 8, generator=generator(2)).double())
    weights = list(decoder.parameters())
    first = torch.autograd.grad(total, weights, retain_graph=True)
    second = torch.autograd.grad(total, weights)
    assert all(torch.equal(one, two) for one, two in zip(first, second, strict=True))


def test_logits_alone_leave_gradients_for_all_weights() -> None:
    decoder = decoder_of((7,), 0)
    passes = decoder.passes()
    logits, _ = passes.at(passes.begin(torch.randn(4, 3, generator=generator(1), dtype=torch.float64)))
    logits.square().sum().backward()
    assert all(weight.grad is not None for weight in decoder.parameters())


def test_without_gradients_and_in_mixed_precision_passes_are_plain() -> None:
    decoder = decoder_of((7,), 0)
    with torch.no_grad():
        assert isinstance(decoder.passes(), PlainPasses)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert isinstance(decoder.passes(), PlainPasses)
