"""Convolutional networks fit samples of any size, keep the user's order, and see the condition."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from riemaug.models import RHVAE, Condition, build_model, conv_model
from riemaug.models.convolutional import LEAST_SIDE, REFINED_UP_TO, ConvDecoder, ConvTrunk, ImageLayout


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@st.composite
def shapes(draw: st.DrawFn) -> tuple[tuple[int, ...], int | None]:
    """Shape and axis of channels, if any, of images, volumes and signals of sides 1 to 40."""
    num_sides = draw(st.integers(1, 3))
    most = {1: 40, 2: 40, 3: 17}[num_sides]
    sides = draw(st.lists(st.integers(1, most), min_size=num_sides, max_size=num_sides))
    if not draw(st.booleans()):
        return tuple(sides), None
    axis = draw(st.integers(-num_sides - 1, num_sides))
    sides.insert(axis % (num_sides + 1), draw(st.integers(1, 4)))
    return tuple(sides), axis


@settings(max_examples=60, deadline=None)
@given(shapes(), st.integers(0, 2))
def test_any_size_passes_through_trunk_and_decoder(shape: tuple, num_conditions: int) -> None:
    layout = ImageLayout(*shape)
    size = math.prod(layout.shape)
    features = torch.rand(2, num_conditions, generator=generator(1)) if num_conditions else None
    trunk = ConvTrunk(layout, 2, 5, num_conditions, generator())
    assert trunk(torch.rand(2, size, generator=generator()), features).shape == (2, 5)
    decoder = ConvDecoder(3, layout, 2, 5, num_conditions, generator())
    logits = decoder(torch.randn(2, 3, generator=generator()), features)
    assert logits.shape == (2, size)
    # logits are what a linear layer made: some below the least value of SiLU
    assert decoder.last is None or size <= REFINED_UP_TO


@settings(max_examples=60, deadline=None)
@given(shapes())
def test_rows_and_images_are_each_others_inverse(shape: tuple) -> None:
    layout = ImageLayout(*shape)
    rows = torch.rand(2, math.prod(layout.shape), generator=generator())
    image = layout.to_image(rows)
    assert image.shape == (2, layout.num_channels, *layout.sides)
    assert torch.equal(layout.to_rows(image), rows)


def test_the_order_of_a_row_is_that_of_the_users_array() -> None:
    samples = torch.rand(2, 5, 6, 3, generator=generator())
    image = ImageLayout((5, 6, 3), -1).to_image(samples.flatten(1))
    assert torch.equal(image[:, 1], samples[..., 1])


def test_each_side_is_halved_as_long_as_it_stays_long_enough() -> None:
    assert ImageLayout((28, 28)).pyramid() == [(28, 28), (14, 14), (7, 7), (4, 4)]
    assert ImageLayout((46, 55, 46)).pyramid()[-1] == (6, 7, 6)
    # a thin slab is halved along its long sides alone
    assert ImageLayout((3, 29, 6)).pyramid() == [(3, 29, 6), (3, 15, 6), (3, 8, 6), (3, 4, 6)]
    assert ImageLayout((6, 6)).pyramid() == [(6, 6)]
    assert LEAST_SIDE == 4


@pytest.mark.parametrize("shape", [(1, 1), (3, 2), (7, 7), (28, 28), (80, 60), (5, 6, 7), (20, 21, 17)])
@pytest.mark.parametrize("kind", ["vae", "vamp", "rhvae"])
def test_every_kind_of_model_trains_on_them(shape: tuple[int, ...], kind: str) -> None:
    config = conv_model(shape, kind=kind).model_copy(update={"conv_channels": 2, "num_pseudo_inputs": 3})
    model = build_model(config)
    data = torch.rand(3, math.prod(shape), generator=generator())
    objective = model.objective(data, generator(1))
    objective.loss().backward()
    assert objective.elbo.isfinite()
    for name, weight in model.named_parameters():
        assert weight.grad is not None, name
        assert bool(weight.grad.isfinite().all()), name
    assert config.num_parameters() == sum(weight.numel() for weight in model.parameters())


def pixel_spread(decoder: ConvDecoder, latent: Tensor) -> float:
    return float(decoder(latent).detach().std(0).min())


@pytest.mark.parametrize("shape", [(13, 10), (70, 61), (9, 8, 11), (20, 17, 19)])
def test_the_latent_point_reaches_every_pixel(shape: tuple[int, ...]) -> None:
    decoder = ConvDecoder(2, ImageLayout(shape), 3, 16, 0, generator())
    assert pixel_spread(decoder, 3.0 * torch.randn(20, 2, generator=generator())) > 0


@pytest.mark.parametrize("shape", [(12, 12), (66, 65)])
def test_the_pullback_is_the_vector_jacobian_product_and_differentiable(shape: tuple[int, ...]) -> None:
    decoder = ConvDecoder(2, ImageLayout(shape), 2, 5, 0, generator()).double()
    latent = torch.randn(3, 2, generator=generator(), dtype=torch.float64)
    logits, pullback = decoder.forward_with_pullback(latent)
    cotangent = torch.rand(logits.shape, generator=generator(1), dtype=torch.float64)
    for direction in 1e-5 * torch.eye(2).double():
        moved = (decoder(latent + direction) - decoder(latent - direction)).detach() / 2
        assert torch.allclose(pullback(cotangent) @ direction, (moved * cotangent).sum(1), rtol=1e-6, atol=0)
    assert torch.allclose(logits, decoder(latent))
    pullback(torch.sigmoid(logits)).square().sum().backward()
    assert all(weight.grad is not None for weight in decoder.doublings.parameters())


def test_the_networks_see_the_condition() -> None:
    model = build_model(conv_model((9, 9), num_conditions=2))
    assert isinstance(model, RHVAE)
    data = torch.rand(4, 81, generator=generator())
    group = torch.tensor([0, 0, 1, 1])
    told = Condition(torch.nn.functional.one_hot(group, 2).float(), group)
    other = Condition(told.features.flip(1), group)
    assert not torch.allclose(model.embed(data, told), model.embed(data, other))
    latent = torch.zeros(4, 2)
    decoded = model.decode(latent, told)
    assert torch.allclose(decoded[0], decoded[1], atol=1e-6)
    assert not torch.allclose(decoded[0], decoded[2], atol=1e-4)
    assert not torch.allclose(
        model.metric_network(data, told.features), model.metric_network(data, other.features)
    )


@pytest.mark.parametrize("side", [28, 64, 128, 208])
def test_larger_images_get_fewer_channels_and_far_fewer_weights_than_dense_layers(side: int) -> None:
    config = conv_model((side, side))
    dense = config.model_copy(update={"network": "mlp", "encoder_hidden": (1000, 400)})
    assert config.conv_channels == {28: 32, 64: 32, 128: 16, 208: 8}[side]
    if side > 64:
        assert config.num_parameters() < 0.3 * dense.num_parameters()


def test_a_shape_for_convolutions_must_be_known() -> None:
    with pytest.raises(ValueError, match="1 to 3 sides"):
        conv_model((2, 3, 4, 5))
    with pytest.raises(ValueError, match="channel_axis must be an axis"):
        conv_model((8, 8), channel_axis=2)
