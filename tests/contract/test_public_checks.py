"""`check_metric`: every metric of ours passes, and every deliberate fault is named."""

import re
from pathlib import Path

import pytest
import torch
from torch import Tensor

from riemaug.errors import InvalidInputError
from riemaug.geometry import (
    KernelMetric,
    LagrangianLeapfrog,
    LocalGeometry,
    Metric,
    PoincareBallMetric,
    PosteriorPrecisionMetric,
    PullbackMetric,
    Support,
)
from riemaug.models import ModelConfig, build_model
from riemaug.testing import check_integrator, check_metric
from tests.contract.checked_metrics import OUR_METRICS, Bump, places, precision_metric
from tests.metrics import random_metric


@pytest.mark.parametrize("name", OUR_METRICS)
@pytest.mark.parametrize("dim", [1, 3])
def test_our_metrics_pass(name: str, dim: int) -> None:
    check_metric(OUR_METRICS[name](dim), places(dim))


@pytest.mark.parametrize("dim", [1, 3])
def test_a_chart_that_ends_passes_within_it(dim: int) -> None:
    inside = 0.4 * torch.tanh(places(dim))
    check_metric(PoincareBallMetric(dim), inside, far=None)
    with pytest.raises(AssertionError, match="finite far away: cometric_factor is not finite"):
        check_metric(PoincareBallMetric(dim), inside)


@pytest.mark.parametrize("kind", ["vae", "rhvae"])
def test_metrics_of_models_pass(kind: str) -> None:
    sizes = {"encoder_hidden": (9,), "decoder_hidden": (8,), "metric_hidden": (7,)}
    model = build_model(ModelConfig(kind=kind, data_dim=12, **sizes), 3)
    data = torch.rand(10, 12, generator=torch.Generator().manual_seed(3))
    check_metric(PosteriorPrecisionMetric.of(model, data), places(2))
    check_metric(PullbackMetric(model.decode, 2), places(2))


def test_a_user_s_one_method_is_enough() -> None:
    check_metric(Bump(), places(2))
    check_integrator(LagrangianLeapfrog(), Bump(), places(2))


def test_one_method_is_enough_whatever_its_operations() -> None:
    class ByScalars(Bump):
        """One number for each point on the way, which `torch.func.vmap` of an empty batch trips over."""

        def cometric_matrix(self, point: Tensor) -> Tensor:
            height = 0.1 + torch.exp(-point.square().sum(-1))
            return height[..., None, None] * torch.eye(2).to(point)

    check_metric(ByScalars(), places(2))


def test_the_metric_checked_is_left_as_it_is() -> None:
    metric = precision_metric(2)
    check_metric(metric, places(2).float())
    assert metric.centroids.dtype == torch.float32


def test_points_of_another_dimension_are_refused() -> None:
    for wrong in (places(3), places(2)[:1]):
        with pytest.raises(InvalidInputError, match=re.escape("points must be (n, 2) with n >= 2")):
            check_metric(Bump(), wrong)


class BrokenMetric(KernelMetric):
    """A right metric, for the wrong ones to start from."""

    def __init__(self) -> None:
        inner = random_metric(2, 6, seed=0)
        super().__init__(inner.centroids, inner.factors, inner.bandwidth, inner.regularization)


class WrongSignOfTheGradient(BrokenMetric):
    def log_density_gradient(self, point: Tensor) -> Tensor:
        return -super().log_density_gradient(point)


class PublishedForce(BrokenMetric):
    def log_density_gradient(self, point: Tensor) -> Tensor:
        pulls = self.centroids - point[..., None, :]
        kernels = self.kernels.unflatten(1, (2, 2))
        summed = torch.einsum("...n,nij,...nj->...i", self.weights(point), kernels, pulls)
        return (self.metric_matrix(point) @ summed[..., None])[..., 0] / self.bandwidth**2


class VolumeOfTheInverse(BrokenMetric):
    def log_volume_element(self, point: Tensor) -> Tensor:
        return -super().log_volume_element(point)


class FlippedForce(BrokenMetric):
    def kinetic_gradient(self, point: Tensor, momentum: Tensor) -> Tensor:
        return -super().kinetic_gradient(point, momentum)


class SwappedHalves(BrokenMetric):
    def velocity_and_gradient(self, point: Tensor, momentum: Tensor) -> tuple[Tensor, Tensor]:
        velocity, gradient = super().velocity_and_gradient(point, momentum)
        return gradient, velocity


class MomentaOfTheInverse(BrokenMetric):
    def sample_momentum(self, point: Tensor, noise: Tensor) -> Tensor:
        return (self.cometric_factor(point) @ noise[..., None])[..., 0]


class DerivativeIndexFirst(BrokenMetric):
    def cometric_derivative(self, point: Tensor) -> Tensor:
        return super().cometric_derivative(point).movedim(-1, -3)


class LocalDerivativeIndexLast(BrokenMetric):
    def local_geometry(self, point: Tensor) -> LocalGeometry:
        local = super().local_geometry(point)
        return LocalGeometry(point, local.cometric, local.derivative.movedim(-3, -1))

    def cometric_derivative(self, point: Tensor) -> Tensor:
        return super().local_geometry(point).derivative.movedim(-3, -1)


class NotTheInverse(BrokenMetric):
    def metric_matrix(self, point: Tensor) -> Tensor:
        return self.cometric_matrix(point)


class HalfTheInnerProduct(BrokenMetric):
    def inner_product(self, u: Tensor, v: Tensor, base_point: Tensor) -> Tensor:
        return 0.5 * super().inner_product(u, v, base_point)


class SupportOfAnotherSpace(BrokenMetric):
    def default_support(self) -> Support:
        return Support(torch.zeros(1, 3).double(), 1.0)


class OnlyMatrices(BrokenMetric):
    def log_density(self, point: Tensor) -> Tensor:
        assert point.ndim == 2, "points must be (n, d)"
        return super().log_density(point)


class ChangesItsInput(BrokenMetric):
    def momentum_of(self, point: Tensor, velocity: Tensor) -> Tensor:
        result = super().momentum_of(point, velocity)
        velocity += 1.0
        return result


class CountsItsCalls(BrokenMetric):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    def norm(self, vector: Tensor, base_point: Tensor) -> Tensor:
        self.calls += 1
        return super().norm(vector, base_point)


class FlooredVolume(Bump):
    def cometric_matrix(self, point: Tensor) -> Tensor:
        return 1e-12 * super().cometric_matrix(point)

    def log_volume_element(self, point: Tensor) -> Tensor:
        root = self.cometric_factor(point).diagonal(dim1=-2, dim2=-1).prod(-1)
        return -(root + 1e-10).log()


class Asymmetric(Bump):
    def cometric_matrix(self, point: Tensor) -> Tensor:
        return super().cometric_matrix(point) + torch.tensor([[0.0, 0.01], [0.0, 0.0]]).to(point)


class Indefinite(Bump):
    def cometric_matrix(self, point: Tensor) -> Tensor:
        return super().cometric_matrix(point) - 0.7 * torch.eye(2).to(point)


class NothingFarAway(Bump):
    def cometric_matrix(self, point: Tensor) -> Tensor:
        height = torch.exp(-(point * point).sum(-1, keepdim=True))
        return height[..., None] * torch.eye(2).to(point)


class PlainTensor(Bump):
    def __init__(self) -> None:
        super().__init__()
        self.shear = torch.tensor([[1.0, 0.3], [0.3, 0.5]], dtype=torch.float64)

    def cometric_matrix(self, point: Tensor) -> Tensor:
        height = 0.1 + torch.exp(-(point * point).sum(-1, keepdim=True))
        return height[..., None] * self.shear.to(point.dtype)


class ConstantOfItsOwnType(Bump):
    def cometric_matrix(self, point: Tensor) -> Tensor:
        return super().cometric_matrix(point) + torch.eye(2, dtype=torch.float64)


class HalfDetached(Bump):
    def cometric_matrix(self, point: Tensor) -> Tensor:
        cut = point.detach().square().sum(-1, keepdim=True)
        return super().cometric_matrix(point) * (1.0 + cut)[..., None]


class Detached(Bump):
    def cometric_matrix(self, point: Tensor) -> Tensor:
        return super().cometric_matrix(point.detach())


class Noisy(Bump):
    def log_density(self, point: Tensor) -> Tensor:
        return super().log_density(point) + 1e-12 * torch.randn(point.shape[:-1])


BROKEN_METRICS = {
    WrongSignOfTheGradient: "derivatives: log_density_gradient is not the derivative of log_density",
    PublishedForce: "derivatives: log_density_gradient",
    FlooredVolume: "sign of the volume element: log_volume_element is not",
    VolumeOfTheInverse: "sign of the volume element: log_volume_element is not -1/2 log det C",
    FlippedForce: "equations of motion: kinetic_gradient",
    SwappedHalves: "equations of motion: velocity_and_gradient, first",
    MomentaOfTheInverse: "momentum covariance: sample_momentum has not the covariance G",
    DerivativeIndexFirst: "derivatives: cometric_derivative",
    LocalDerivativeIndexLast: "equations of motion: local_geometry, derivative",
    NotTheInverse: "metric and cometric are inverse",
    HalfTheInnerProduct: "lengths: inner_product is not",
    SupportOfAnotherSpace: "default support: default_support has dimension 3, the metric 2",
    OnlyMatrices: re.escape("batch shapes: it raised AssertionError: points must be (n, d)"),
    ChangesItsInput: "inputs are left alone: momentum_of changes the tensors passed in",
    CountsItsCalls: "no side effects: the state of the metric is changed",
    Asymmetric: "symmetric positive definite: cometric_matrix is not symmetric",
    Indefinite: "symmetric positive definite: cometric_matrix has eigenvalues that are not positive",
    NothingFarAway: "finite far away: cometric_factor is not finite",
    PlainTensor: "tensors follow the module: PlainTensor holds shear outside its buffers",
    ConstantOfItsOwnType: "tensors follow the module: cometric_matrix of float32 points, after .float",
    HalfDetached: "differentiable: autograd through cometric_matrix is not its derivative",
    Detached: "derivatives: it raised RuntimeError",
    Noisy: "no side effects: log_density differs when asked again",
}


@pytest.mark.parametrize("broken", BROKEN_METRICS, ids=lambda metric: metric.__name__)
def test_a_broken_metric_is_told_what_is_wrong(broken: type[Metric]) -> None:
    points = 0.3 * places(2)
    with pytest.raises(AssertionError, match=f"^{BROKEN_METRICS[broken]}") as caught:
        check_metric(broken(), points)
    message = str(caught.value)
    assert "\n" not in message
    assert re.search(r"\(error \S+, tolerance \S+\)$", message) or "it raised" in message


def test_a_closed_form_that_autograd_cannot_follow_passes_by_differences() -> None:
    class Foreign(KernelMetric):
        def cometric_matrix(self, point: Tensor) -> Tensor:
            return super().cometric_matrix(point).detach()

        def log_density(self, point: Tensor) -> Tensor:
            return super().log_density(point).detach()

    inner = random_metric(2, 6, seed=0)
    parts = (inner.centroids, inner.factors, inner.bandwidth, inner.regularization)
    check_metric(Foreign(*parts), places(2))


def test_the_public_page_runs() -> None:
    page = Path(__file__).parents[2] / "docs" / "extending.md"
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert len(blocks) >= 4
    namespace: dict[str, object] = {"__name__": "extending"}
    for block in blocks:
        exec(compile(block, str(page), "exec"), namespace)
