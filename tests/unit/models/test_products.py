"""Products of dense layers: right whichever library takes them, differentiable twice."""

import pytest
import torch
from torch import Tensor, nn

from riemaug.geometry.forward_mode import load_forward_mode
from riemaug.models import products
from riemaug.models.products import Dense, product, times_transposed


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(*shape, generator=generator(seed), dtype=dtype)


SHAPES = [(40, 90, 70), (40, 400, 784), (3, 4, 5), (2000, 100, 2), (1, 500, 500)]


@pytest.mark.parametrize(("rows", "inner", "columns"), SHAPES)
@pytest.mark.parametrize("views", [False, True])
def test_values_are_those_of_a_product_in_float64(rows: int, inner: int, columns: int, views: bool) -> None:
    left, right = normal(inner, rows).T, normal(inner, columns, seed=1).T
    if not views:
        left, right = left.contiguous(), right.contiguous()
    bias = normal(columns, seed=2)
    exact = left.double() @ right.double().T
    limit = 1e-6 * inner
    assert float((times_transposed(left, right) - exact).abs().max()) < limit
    assert float((times_transposed(left, right, bias) - exact - bias).abs().max()) < limit


def test_large_products_on_the_cpu_go_to_the_other_library(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def watched(left: Tensor, right: Tensor, bias: Tensor | None, *_: object) -> Tensor:
        calls.append(tuple(left.shape))
        return left @ right.T if bias is None else left @ right.T + bias

    monkeypatch.setattr(products, "_FAST", watched)
    for rows, inner, columns in SHAPES:
        times_transposed(normal(rows, inner), normal(columns, inner))
    times_transposed(normal(40, 400, dtype=torch.float64), normal(784, 400, dtype=torch.float64))
    assert calls == [(40, 90), (40, 400)]
    monkeypatch.setattr(products, "_FAST", None)
    assert times_transposed(normal(40, 400), normal(784, 400)).shape == (40, 784)


def test_first_and_second_derivatives() -> None:
    inputs = [
        normal(*shape, seed=index, dtype=torch.float64).requires_grad_()
        for index, shape in enumerate([(3, 4), (5, 4), (5,)])
    ]
    assert torch.autograd.gradcheck(product, inputs)
    assert torch.autograd.gradgradcheck(product, inputs)


def layers() -> tuple[Dense, nn.Linear]:
    ours, theirs = Dense(90, 70), nn.Linear(90, 70)
    with torch.no_grad():
        for weight in ours.parameters():
            weight.copy_(normal(*weight.shape, seed=3))
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


def test_a_dense_layer_is_a_linear_layer() -> None:
    ours, theirs = layers()
    data = normal(40, 90).requires_grad_()
    results = []
    for layer in (ours, theirs):
        out = layer(data)
        given = torch.autograd.grad(out.sin().sum(), [data, *layer.parameters()])
        results.append((out.detach(), *given))
    for one, two in zip(*results, strict=True):
        assert torch.allclose(one, two, atol=1e-4, rtol=1e-4)


def test_it_follows_autocast_vmap_and_forward_mode() -> None:
    ours, theirs = layers()
    data = normal(40, 90)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert ours(data).dtype == torch.bfloat16
    many = data.expand(3, -1, -1)
    assert torch.allclose(torch.func.vmap(ours)(many), theirs(many), atol=1e-4)
    load_forward_mode()
    tangent = normal(40, 90, seed=5)
    _, slope = torch.func.jvp(ours, (data,), (tangent,))
    assert torch.allclose(slope, tangent @ theirs.weight.T, atol=1e-4)
