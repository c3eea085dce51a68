"""The support S and even draws from it."""

import math

import pytest
import torch

from riemaug.geometry import KernelMetric, Support
from riemaug.samplers.flat import FlatPart
from tests.metrics import random_metric


def test_default_radius_is_where_a_kernel_falls_to_lambda() -> None:
    metric = random_metric(3, 5, seed=0, regularization=1e-3)
    support = metric.default_support()
    edge = metric.centroids[:1] + torch.tensor([support.radius, 0.0, 0.0]).double()
    lone = KernelMetric(metric.centroids[:1], metric.factors[:1], metric.bandwidth, 1e-3)
    assert float(lone.weights(edge)) == pytest.approx(1e-3)
    assert random_metric(2, 3, seed=0, regularization=1.0).default_support().radius == pytest.approx(0.8)


def test_contains_is_the_distance_rule_and_refuses_what_is_not_finite() -> None:
    support = Support(torch.tensor([[0.0, 0.0], [3.0, 0.0]]), 1.0)
    points = torch.tensor(
        [[0.0, 0.99], [0.0, 1.01], [3.5, 0.5], [1.5, 0.0], [torch.nan, 0.0], [torch.inf, 0.0]]
    )
    assert support.contains(points).tolist() == [True, False, True, False, False, False]


@pytest.mark.parametrize("spread", [0.5, 40.0])
def test_flat_proposals_cover_the_support_evenly(spread: float) -> None:
    metric = random_metric(2, 5, seed=3, spread=spread)
    support = metric.default_support()
    flat = FlatPart.of(support)
    assert flat.in_box == (spread < 1)
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(40000, 2, generator=generator, dtype=torch.float64)
    points, thinning = flat.draw(noise, generator)
    inside = support.contains(points)
    # the share kept measures |S|; compare with a fine grid over the box
    volume = float((thinning * inside).mean()) * math.exp(flat.log_volume)
    lower, upper = support.bounding_box()
    num = 1500
    axes = [torch.linspace(float(a), float(b), num).double() for a, b in zip(lower, upper, strict=True)]
    grid = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).flatten(0, 1)
    share = sum(float(support.contains(part).double().sum()) for part in grid.split(100000)) / num**2
    assert volume == pytest.approx(share * math.exp(support.log_box_volume()), rel=0.02)
