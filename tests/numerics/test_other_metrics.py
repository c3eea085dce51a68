"""The metrics given by G: posterior precision and pull-back, against plain restatements, in float64."""

import math

import pytest
import torch
from torch import Tensor, nn

from riemaug.errors import InvalidInputError
from riemaug.geometry import (
    KernelMetric,
    LagrangianLeapfrog,
    PosteriorPrecisionMetric,
    PullbackMetric,
    TensorMetric,
    exp,
    pullback,
)
from riemaug.geometry.posterior_precision import nearest_neighbour_bandwidth
from riemaug.models import LatentModel, ModelConfig, build_model
from riemaug.samplers import ChainOptions, RiemannianRandomWalk

DIMS = (1, 2, 3, 5)


def posteriors(dim: int, num: int = 7) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(dim)
    means = torch.randn(num, dim, generator=generator, dtype=torch.float64)
    return means, 0.2 + 0.4 * torch.rand(num, dim, generator=generator, dtype=torch.float64)


def precision_metric(dim: int) -> PosteriorPrecisionMetric:
    return PosteriorPrecisionMetric(*posteriors(dim), bandwidth=1.5, regularization=0.01)


def points_and_vectors(dim: int) -> tuple[Tensor, Tensor]:
    points, vectors = torch.randn(
        2, 3, 4, dim, generator=torch.Generator().manual_seed(7), dtype=torch.float64
    )
    return points, vectors


class PlainPrecisionMetric(TensorMetric):
    """The same tensor by its definition, with everything else left to `TensorMetric`."""

    def __init__(self, metric: PosteriorPrecisionMetric) -> None:
        super().__init__()
        self.inner = metric

    @property
    def dim(self) -> int:
        return self.inner.dim

    def metric_matrix(self, point: Tensor) -> Tensor:
        deviations = self.inner.standard_deviations
        scaled = (point[..., None, :] - self.inner.centroids) / deviations
        weights = torch.exp(-(scaled**2).sum(-1) / self.inner.bandwidth**2)
        diagonal = torch.einsum("...n,nk->...k", weights, deviations**-2)
        return torch.diag_embed(diagonal + self.inner.regularization)


class PlainPullbackMetric(TensorMetric):
    """J^T J by reverse mode, one row at a time, with everything else left to `TensorMetric`."""

    def __init__(self, decoder: nn.Module, dim: int, regularization: float) -> None:
        super().__init__()
        self.decoder, self._dim, self.regularization = decoder, dim, regularization

    @property
    def dim(self) -> int:
        return self._dim

    def metric_matrix(self, point: Tensor) -> Tensor:
        rows = point.reshape(-1, self.dim)
        jacobian = torch.func.vmap(torch.func.jacrev(lambda z: self.decoder(z[None])[0].flatten()))(rows)
        tensor = jacobian.mT @ jacobian + self.regularization * torch.eye(self.dim, dtype=point.dtype)
        return tensor.reshape(*point.shape, self.dim)


def tanh_decoder(dim: int, seed: int = 0) -> nn.Module:
    torch_generator = torch.Generator().manual_seed(seed)
    decoder = nn.Sequential(nn.Linear(dim, 6), nn.Tanh(), nn.Linear(6, 9), nn.Unflatten(1, (1, 3, 3)))
    with torch.no_grad():
        for weight in decoder.parameters():
            weight.copy_(torch.randn(weight.shape, generator=torch_generator))
    return decoder.double()


def small_model(kind: str = "vae", **changes: object) -> LatentModel:
    sizes = {"encoder_hidden": (9,), "decoder_hidden": (8,), "metric_hidden": (7,)}
    return build_model(ModelConfig(kind=kind, data_dim=12, **(sizes | changes)), 3)


def unit_data(num: int = 10) -> Tensor:
    return torch.rand(num, 12, generator=torch.Generator().manual_seed(3))


def assert_same(metric: TensorMetric, plain: TensorMetric, tolerance: float) -> None:
    point, vector = points_and_vectors(metric.dim)

    def compare(name: str, actual: Tensor, expected: Tensor) -> None:
        torch.testing.assert_close(
            actual, expected, rtol=tolerance, atol=tolerance, msg=lambda text: f"{name}: {text}"
        )

    for name in (
        "metric_matrix", "cometric_matrix", "cometric_factor", "log_volume_element", "log_density",
        "log_density_gradient", "metric_derivative", "cometric_derivative",
    ):  # fmt: skip
        compare(name, getattr(metric, name)(point), getattr(plain, name)(point))
    for name in ("velocity_of", "momentum_of", "kinetic_gradient", "momentum_derivative", "sample_momentum"):
        compare(name, getattr(metric, name)(point, vector), getattr(plain, name)(point, vector))
    compare(
        "inner_product",
        metric.inner_product(vector, point, point),
        plain.inner_product(vector, point, point),
    )
    local, plain_local = metric.local_geometry(point), plain.local_geometry(point)
    compare("local cometric", local.cometric, plain_local.cometric)
    compare("local derivative", local.derivative, plain_local.derivative)


@pytest.mark.parametrize("dim", DIMS)
def test_closed_forms_of_the_precisions_equal_autograd_of_the_definition(dim: int) -> None:
    metric = precision_metric(dim)
    assert_same(metric, PlainPrecisionMetric(metric), 1e-10)
    point, vector = points_and_vectors(dim)
    density, gradient = metric.log_density_and_gradient(point)
    torch.testing.assert_close(density, metric.log_density(point))
    torch.testing.assert_close(gradient, metric.log_density_gradient(point))
    velocity, force = metric.velocity_and_gradient(point, vector)
    torch.testing.assert_close(velocity, metric.velocity_of(point, vector))
    torch.testing.assert_close(force, metric.kinetic_gradient(point, vector))


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_forward_mode_equals_reverse_mode_of_the_definition(dim: int) -> None:
    decoder = tanh_decoder(dim)
    assert_same(PullbackMetric(decoder, dim, 0.01), PlainPullbackMetric(decoder, dim, 0.01), 1e-9)


def test_the_law_is_large_at_the_data() -> None:
    metric = precision_metric(2)
    far = torch.full((1, 2), 50.0, dtype=torch.float64)
    assert float(metric.log_density(metric.centroids).min()) > float(metric.log_density(far)) + 5
    # and far away G is lambda I
    assert float(metric.log_density(far)) == pytest.approx(math.log(0.01))


@pytest.mark.parametrize("regularization", [1e-6, 1.0])
@pytest.mark.parametrize(("dim", "num"), [(1, 1), (64, 5)])
def test_extremes_stay_finite(dim: int, num: int, regularization: float) -> None:
    means, deviations = posteriors(dim, num)
    metric = PosteriorPrecisionMetric(means, 1e-3 * deviations, 2.0, regularization)
    for point in (means, means + 1e6, means[:0]):
        assert metric.log_density(point).isfinite().all()
        assert metric.log_density_gradient(point).isfinite().all()
        assert metric.local_geometry(point).derivative.isfinite().all()


def test_the_default_support_holds_every_point_of_weight_above_lambda() -> None:
    metric = precision_metric(2)
    points = 6.0 * torch.rand(20000, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 3.0
    heavy = (metric.weights(points) > metric.regularization).any(-1)
    inside = metric.default_support().contains(points)
    assert int(heavy.sum()) > 5000
    assert inside[heavy].all()
    assert not inside.all()
    widest = float(metric.standard_deviations.max())
    assert metric.default_support().radius == pytest.approx(widest * 1.5 * math.sqrt(math.log(100.0)))


def test_the_default_bandwidth_lets_every_kernel_reach_its_neighbour() -> None:
    means, deviations = posteriors(2, 30)
    means[1], deviations[1] = means[0], deviations[0]  # a pair that coincides is nobody's neighbour
    bandwidth = nearest_neighbour_bandwidth(means, deviations)
    metric = PosteriorPrecisionMetric(means, deviations, bandwidth, 0.01)
    # the kernel of i at the centroid of j, j != i: the best neighbour has weight 1/e or more, once 1/e
    weights = metric.weights(means).fill_diagonal_(0.0)
    weights[0, 1] = weights[1, 0] = 0.0
    best = weights.amax(0)
    assert float(best.min()) == pytest.approx(math.exp(-1.0))
    assert nearest_neighbour_bandwidth(means[:2], deviations[:2]) == 1.0


def test_bandwidth_in_pieces_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    means, deviations = posteriors(3, 30)
    whole = nearest_neighbour_bandwidth(means, deviations)
    monkeypatch.setattr("riemaug.geometry.posterior_precision._PAIRS_AT_ONCE", 70)
    assert nearest_neighbour_bandwidth(means, deviations) == pytest.approx(whole, rel=1e-12)


@pytest.mark.parametrize("kind", ["vae", "rhvae"])
def test_any_model_gives_a_posterior_precision_metric(kind: str) -> None:
    model, data = small_model(kind).train(), unit_data()
    metric = PosteriorPrecisionMetric.of(model, data)
    assert model.training
    assert metric.centroids.dtype == torch.float64
    posterior = model.encode(data)
    torch.testing.assert_close(metric.centroids.float(), posterior.mean)
    torch.testing.assert_close(metric.standard_deviations.float(), (0.5 * posterior.log_variance).exp())
    expected = nearest_neighbour_bandwidth(metric.centroids, metric.standard_deviations)
    assert metric.bandwidth == expected
    assert PosteriorPrecisionMetric.of(model, data, bandwidth=3.0).bandwidth == 3.0
    draws = RiemannianRandomWalk(metric, covariance=0.05, chains=ChainOptions(num_steps=10)).sample(3, 0)
    assert metric.default_support().contains(draws.points).all()


def test_a_loaded_state_is_used_everywhere() -> None:
    metric, (means, deviations) = precision_metric(2), posteriors(2)
    other = PosteriorPrecisionMetric(means + 1.0, 2.0 * deviations, 1.5, 0.01)
    other.load_state_dict(metric.state_dict())
    point, _ = points_and_vectors(2)
    torch.testing.assert_close(other.metric_matrix(point), metric.metric_matrix(point), rtol=0, atol=0)
    assert set(metric.state_dict()) == {"centroids", "standard_deviations"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bandwidth": 0.0}, "must be positive and finite, got 0.0 and 0.01"),
        ({"regularization": math.inf}, "must be positive and finite, got 1.0 and inf"),
        (
            {"standard_deviations": torch.tensor([[1.0, 0.0]])},
            "standard deviations must be positive and finite",
        ),
        ({"centroids": torch.zeros(0, 2), "standard_deviations": torch.zeros(0, 2)}, "at least one centroid"),
        ({"centroids": torch.zeros(2, 2)}, "must have one shape"),
    ],
)
def test_parameters_out_of_range_are_refused(changes: dict, message: str) -> None:
    values = {
        "centroids": torch.zeros(1, 2), "standard_deviations": torch.ones(1, 2), "bandwidth": 1.0,
        "regularization": 0.01,
    }  # fmt: skip
    with pytest.raises(InvalidInputError, match=message):
        PosteriorPrecisionMetric(**(values | changes))


def test_lengths_are_those_of_the_decoded_curve() -> None:
    metric = PullbackMetric(decoder := tanh_decoder(2), 2, 0.0)
    times = torch.linspace(0, 1, 4001, dtype=torch.float64)
    curve = torch.stack([torch.cos(2 * times), times.square()], -1)
    middle, steps = 0.5 * (curve[1:] + curve[:-1]), curve.diff(dim=0)
    decoded = decoder(curve).flatten(1).diff(dim=0).norm(dim=-1).sum()
    torch.testing.assert_close(metric.norm(steps, middle).sum(), decoded, rtol=1e-6, atol=0)


def test_geodesics_of_a_linear_decoder_are_straight() -> None:
    weight = torch.randn(7, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    metric = PullbackMetric(lambda z: z @ weight.T, 2, 0.1)
    start, velocity = points_and_vectors(2)
    flow = exp(metric, velocity, start, LagrangianLeapfrog(), 3)
    torch.testing.assert_close(flow.point, start + velocity)


def test_the_decoder_is_copied_and_left_alone() -> None:
    decoder = nn.Sequential(nn.Linear(2, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Dropout(0.5), nn.Linear(5, 8))
    metric = PullbackMetric(decoder, 2).double()
    point, _ = points_and_vectors(2)
    before = metric.metric_matrix(point)
    assert not before.requires_grad
    assert decoder.training
    assert all(weight.dtype == torch.float32 and weight.requires_grad for weight in decoder.parameters())
    with torch.no_grad():
        decoder[0].weight.mul_(2.0)
    torch.testing.assert_close(metric.metric_matrix(point), before, rtol=0, atol=0)
    # evaluation mode: a row does not depend on its batch, nor on chance
    torch.testing.assert_close(metric.metric_matrix(point[0, 0]), before[0, 0])
    assert any(name.startswith("decoder.") for name in metric.state_dict())


def test_a_method_of_a_model_is_taken_with_its_model() -> None:
    model = small_model(decoder_hidden=(8, 8))
    metric = PullbackMetric(model.decode, 2).double()
    point, _ = points_and_vectors(2)
    rows = point.flatten(0, 1).float()
    expected = torch.func.vmap(torch.func.jacrev(lambda z: model.decode(z[None])[0]))(rows)
    torch.testing.assert_close(metric.jacobian(rows.double()).float(), expected, rtol=1e-4, atol=1e-6)
    assert next(model.parameters()).dtype == torch.float32


def test_batches_go_through_in_pieces_of_bounded_size(monkeypatch: pytest.MonkeyPatch) -> None:
    decoder, seen = tanh_decoder(3), []

    def watched(point: Tensor) -> Tensor:
        seen.append(len(point))
        return decoder(point)

    metric = PullbackMetric(watched, 3)
    point, vector = points_and_vectors(3)
    names = ("metric_matrix", "log_density_gradient", "metric_derivative", "jacobian", "log_density")
    whole = [getattr(metric, name)(point) for name in names]
    force, slope = metric.kinetic_gradient(point, vector), metric.local_geometry(point).derivative
    assert max(seen) == 12
    seen.clear()
    monkeypatch.setattr(pullback, "ENTRIES_AT_ONCE", 9 * 3 * 5)
    for name, expected in zip(names, whole, strict=True):
        torch.testing.assert_close(getattr(metric, name)(point), expected, msg=name)
    assert max(seen) == 5
    torch.testing.assert_close(metric.kinetic_gradient(point, vector), force)
    torch.testing.assert_close(metric.local_geometry(point).derivative, slope)


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_pullback_works_with_gradients_on_and_off(context: type) -> None:
    metric = PullbackMetric(tanh_decoder(2), 2)
    point, vector = points_and_vectors(2)
    expected = metric.log_density_gradient(point), metric.velocity_and_gradient(point, vector)[1]
    with context():
        torch.testing.assert_close(metric.log_density_gradient(point), expected[0])
        torch.testing.assert_close(metric.velocity_and_gradient(point, vector)[1], expected[1])
        assert metric.local_geometry(point).derivative.isfinite().all()


def test_pullback_is_differentiable_in_the_point() -> None:
    metric = PullbackMetric(tanh_decoder(2), 2)
    point = points_and_vectors(2)[0].flatten(0, 1).requires_grad_()
    assert torch.autograd.gradcheck(metric.log_density_gradient, point)
    assert torch.autograd.gradcheck(lambda z: metric.local_geometry(z).derivative, point)


def test_a_decoder_must_give_a_row_for_each_point() -> None:
    point, _ = points_and_vectors(2)
    for wrong in (lambda z: z.sum(), lambda z: z.T, lambda z: (z, z)):
        with pytest.raises(InvalidInputError, match="a decoder must map points"):
            PullbackMetric(wrong, 2).metric_matrix(point)
    with pytest.raises(InvalidInputError, match="dim must be 1 or more and regularization 0 or more"):
        PullbackMetric(tanh_decoder(2), 2, -1.0)
    with pytest.raises(InvalidInputError, match="a PullbackMetric has no default support"):
        RiemannianRandomWalk(PullbackMetric(tanh_decoder(2), 2))


def test_kernel_and_tensor_metrics_draw_from_opposite_volumes() -> None:
    kernel = KernelMetric(torch.zeros(1, 2).double(), torch.eye(2).double()[None], 1.0, 0.01)
    point, _ = points_and_vectors(2)
    torch.testing.assert_close(kernel.log_density(point), -kernel.log_volume_element(point))
    for metric in (precision_metric(2), PullbackMetric(tanh_decoder(2), 2)):
        torch.testing.assert_close(metric.log_density(point), metric.log_volume_element(point))
