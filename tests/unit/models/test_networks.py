"""Dense networks: initial weights, pull-back, condition, lower-triangular factors."""

import math

import pytest
import torch
from torch import Tensor, nn

from riemaug.models.layers import linear
from riemaug.models.networks import FACTOR_LIMIT, Encoder, MetricNetwork, MLPDecoder, MLPTrunk


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_initial_weights_fill_pytorchs_usual_interval_evenly() -> None:
    layer = linear(400, 300, generator())
    bound = 1 / math.sqrt(400)
    for values in (layer.weight, layer.bias):
        assert float(values.detach().abs().max()) <= bound
    scaled = (layer.weight.detach() / bound).flatten()
    # uniform on (-1, 1): mean 0, variance 1/3, each within 5 standard errors of 120,000 draws
    assert abs(float(scaled.mean())) < 5 / math.sqrt(3 * 120_000)
    assert float(scaled.var()) == pytest.approx(1 / 3, abs=5 * math.sqrt(4 / 45 / 120_000))
    assert float(layer.bias.detach().std()) > 0.5 * bound


def networks(seed: int) -> list[nn.Module]:
    draw = generator(seed)
    return [
        Encoder(MLPTrunk(6, (5, 4), 0, draw), 3, draw),
        MLPDecoder(3, (4, 5), 6, 0, draw),
        MetricNetwork(MLPTrunk(6, (5,), 0, draw), 3, draw),
    ]


def test_weights_come_from_the_generator_alone() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first, again, other = networks(0), networks(0), networks(1)
    assert torch.equal(torch.get_rng_state(), before)
    for one, two, three in zip(first, again, other, strict=True):
        for a, b, c in zip(one.parameters(), two.parameters(), three.parameters(), strict=True):
            assert torch.equal(a, b)
            assert not torch.equal(a, c)


def test_hidden_layers_are_as_wide_as_asked_in_order() -> None:
    encoder, decoder, metric = networks(0)
    assert isinstance(encoder, Encoder)
    assert isinstance(decoder, MLPDecoder)
    assert isinstance(metric, MetricNetwork)
    widths = [[m.out_features for m in net.modules() if isinstance(m, nn.Linear)] for net in networks(0)]
    assert widths == [[5, 4, 3, 3], [4, 5, 6], [5, 3, 3]]


def squared_pullback_by_autograd(decoder: MLPDecoder, latent: Tensor, cotangent: Tensor) -> Tensor:
    (gradient,) = torch.autograd.grad(decoder(latent), latent, cotangent, create_graph=True)
    return gradient


@pytest.mark.parametrize("hidden", [(7,), (7, 6), (5, 6, 7)])
def test_the_pullback_is_the_vector_jacobian_product_and_its_derivative_too(hidden: tuple[int, ...]) -> None:
    decoder = MLPDecoder(3, hidden, 8, 0, generator()).double()
    latent = torch.randn(4, 3, generator=generator(1), dtype=torch.float64).requires_grad_()
    target = torch.rand(4, 8, generator=generator(2), dtype=torch.float64)
    logits, pullback = decoder.forward_with_pullback(latent)
    assert torch.equal(logits, decoder(latent))
    # a cotangent that depends on the logits, as the likelihood's score does
    carried = pullback(target - torch.sigmoid(logits))
    reference = squared_pullback_by_autograd(decoder, latent, target - torch.sigmoid(decoder(latent)))
    assert torch.allclose(carried, reference, atol=1e-14)
    inputs = [latent, *decoder.parameters()]
    ours = torch.autograd.grad(carried.square().sum(), inputs, allow_unused=True)
    theirs = torch.autograd.grad(reference.square().sum(), inputs, allow_unused=True)
    for one, two in zip(ours, theirs, strict=True):
        assert one is not None
        assert two is not None
        assert torch.allclose(one, two, atol=1e-13)
    assert float(ours[1].abs().max()) > 1e-6


@pytest.mark.parametrize("dim", [1, 2, 4])
def test_factors_are_lower_triangular_with_a_positive_diagonal(dim: int) -> None:
    draw = generator()
    network = MetricNetwork(MLPTrunk(6, (5,), 0, draw), dim, draw)
    data = torch.rand(7, 6, generator=generator(1))
    factors = network(data)
    assert factors.shape == (7, dim, dim)
    assert torch.equal(factors, factors.tril())
    assert float(factors.detach().diagonal(dim1=-2, dim2=-1).min()) > 0
    # samples do not mix, and every entry below the diagonal has a head of its own
    assert torch.allclose(network(data[3:4]), factors[3:4], atol=1e-6)
    entries = factors.detach()[0][tuple(torch.tril_indices(dim, dim))]
    assert len(entries.unique()) == dim * (dim + 1) // 2


def test_factors_are_bounded_for_wild_inputs() -> None:
    draw = generator()
    network = MetricNetwork(MLPTrunk(6, (5,), 0, draw), 3, draw)
    assert network.below is not None
    with torch.no_grad():
        network.log_diagonal.weight.mul_(1e6)
        network.below.weight.mul_(1e6)
    factors = network(torch.rand(40, 6, generator=generator(1))).detach()
    diagonal = factors.diagonal(dim1=-2, dim2=-1)
    assert float(diagonal.max()) == pytest.approx(math.exp(FACTOR_LIMIT))
    assert float(diagonal.min()) == pytest.approx(math.exp(-FACTOR_LIMIT))
    assert float(factors.tril(-1).abs().max()) == pytest.approx(FACTOR_LIMIT)


def test_small_outputs_are_left_as_they_are() -> None:
    # the bound is smooth: slope one at zero
    draw = generator()
    network = MetricNetwork(MLPTrunk(6, (5,), 0, draw), 2, draw).double()
    assert network.below is not None
    data = torch.rand(4, 6, generator=generator(1), dtype=torch.float64)
    with torch.no_grad():
        for head in (network.log_diagonal, network.below):
            head.weight.mul_(1e-3)
            head.bias.mul_(1e-3)
    factors, features = network(data), network.trunk(data)
    logs = factors.diagonal(dim1=-2, dim2=-1).log()
    assert torch.allclose(logs, network.log_diagonal(features), rtol=1e-4, atol=0)
    assert torch.allclose(factors[:, 1, :1], network.below(features), rtol=1e-4, atol=0)
