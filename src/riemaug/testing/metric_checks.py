"""Invariants of a metric: consistent, correctly differentiated, usable in any batch, dtype and place."""

import contextlib
import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from riemaug import linalg
from riemaug.errors import InvalidInputError
from riemaug.geometry import Metric, TensorMetric
from riemaug.testing.measurements import (
    GlobalRandomness,
    Measurement,
    Measurements,
    absolute_gap,
    batches,
    count_not_finite,
    double_copy,
    relative_gap,
    row_derivative,
    row_differences,
    row_size,
    verify,
)

DIFFERENCE_TOLERANCE = 1e-5
"""What central differences are good for."""


@dataclass(frozen=True)
class MetricProbe:
    """A float64 copy of the metric, where to look at it, and two vectors at each point, (n, d)."""

    metric: Metric
    points: Float[Tensor, "n dim"]
    first: Float[Tensor, "n dim"]
    second: Float[Tensor, "n dim"]
    far: float | None
    tolerance: float

    @property
    def pairs(self) -> tuple[tuple[Tensor, Tensor], ...]:
        """Pairs of vectors at each point, that matrices and their derivatives are contracted with."""
        return (self.first, self.second), (self.second, self.first), (self.first, self.first)

    def close(self, what: str, actual: Tensor, expected: Tensor) -> Measurement:
        """Measure a relative gap against the probe's tolerance."""
        return Measurement(what, relative_gap(actual, expected), self.tolerance)


def check_metric(
    metric: Metric, points: Float[Tensor, "n dim"], *, far: float | None = 1e6, tolerance: float = 1e-8
) -> None:
    """Check a metric of your own; see docs/extending.md.

    Parameters
    ----------
    metric : Metric
        Copied in float64; the original is left as it is.
    points : Tensor (n, d)
        n >= 2 places of the latent space where the metric is smooth and not extremely ill-conditioned.
    far : float, optional
        How far from the points it must still be finite; None for a chart that does not cover R^d.
    tolerance : float
        Largest relative error of what should agree in float64.

    Raises
    ------
    AssertionError
        An invariant does not hold; one line names it with the measured error and the tolerance.
    InvalidInputError
        Points of another dimension, or fewer than two.
    """
    if points.ndim != 2 or len(points) < 2 or points.shape[1] != metric.dim:
        raise InvalidInputError(
            f"points must be (n, {metric.dim}) with n >= 2 for this metric, got {tuple(points.shape)}"
        )
    places = points.detach().double()
    generator = torch.Generator().manual_seed(0)
    first, second = torch.randn((2, *places.shape), generator=generator, dtype=torch.float64).to(places)
    probe = MetricProbe(double_copy(metric), places, first, second, far, tolerance)
    verify(METRIC_INVARIANTS, probe)


Quantity = Callable[[Metric, Tensor, Tensor, Tensor], Tensor]

QUANTITIES: dict[str, tuple[int, Quantity]] = {
    "cometric_matrix": (2, lambda m, z, u, v: m.cometric_matrix(z)),
    "metric_matrix": (2, lambda m, z, u, v: m.metric_matrix(z)),
    "cometric_factor": (2, lambda m, z, u, v: m.cometric_factor(z)),
    "log_volume_element": (0, lambda m, z, u, v: m.log_volume_element(z)),
    "log_density": (0, lambda m, z, u, v: m.log_density(z)),
    "log_density_gradient": (1, lambda m, z, u, v: m.log_density_gradient(z)),
    "cometric_derivative": (3, lambda m, z, u, v: m.cometric_derivative(z)),
    "velocity_of": (1, lambda m, z, u, v: m.velocity_of(z, u)),
    "momentum_of": (1, lambda m, z, u, v: m.momentum_of(z, u)),
    "momentum_derivative": (2, lambda m, z, u, v: m.momentum_derivative(z, u)),
    "kinetic_gradient": (1, lambda m, z, u, v: m.kinetic_gradient(z, u)),
    "velocity_and_gradient, first": (1, lambda m, z, u, v: m.velocity_and_gradient(z, u)[0]),
    "velocity_and_gradient, second": (1, lambda m, z, u, v: m.velocity_and_gradient(z, u)[1]),
    "local_geometry, cometric": (2, lambda m, z, u, v: m.local_geometry(z).cometric),
    "local_geometry, derivative": (3, lambda m, z, u, v: m.local_geometry(z).derivative),
    "inner_product": (0, lambda m, z, u, v: m.inner_product(u, v, z)),
    "norm": (0, lambda m, z, u, v: m.norm(u, z)),
    "hamiltonian": (0, lambda m, z, u, v: m.hamiltonian(z, u)),
    "sample_momentum": (1, lambda m, z, u, v: m.sample_momentum(z, u)),
}
"""Everything a metric offers, with its number of latent indices, from a point and two vectors."""


def finite_and_positive(probe: MetricProbe) -> Measurements:
    """Check that C and G are finite and symmetric, with positive eigenvalues."""
    for name in ("cometric_matrix", "metric_matrix"):
        matrix = getattr(probe.metric, name)(probe.points)
        yield Measurement(f"{name} has entries that are not finite", count_not_finite(matrix))
        yield probe.close(f"{name} is not symmetric", matrix, matrix.mT)
        smallest = linalg.symmetric_eigen(matrix.nan_to_num())[0][:, 0]
        yield Measurement(f"{name} has eigenvalues that are not positive", float((smallest <= 0).sum()))


def inverse_of_each_other(probe: MetricProbe) -> Measurements:
    """Check that C G = I, and C = L L^T with L lower-triangular."""
    cometric = probe.metric.cometric_matrix(probe.points)
    identity = torch.eye(probe.metric.dim).to(cometric).expand_as(cometric)
    product = cometric @ probe.metric.metric_matrix(probe.points)
    yield probe.close("cometric_matrix times metric_matrix is not the identity", product, identity)
    factor = probe.metric.cometric_factor(probe.points)
    yield probe.close("cometric_factor is not lower-triangular", factor, factor.tril())
    yield probe.close("cometric_factor times its transpose is not C", factor @ factor.mT, cometric)


def sign_of_the_volume(probe: MetricProbe) -> Measurements:
    """Check that log_volume_element is log sqrt det G = -1/2 log det C, and log_density finite."""
    values = linalg.symmetric_eigen(probe.metric.cometric_matrix(probe.points))[0]
    expected = -0.5 * values.log().sum(-1)
    gap = absolute_gap(probe.metric.log_volume_element(probe.points), expected)
    yield Measurement("log_volume_element is not -1/2 log det C", gap, 1e2 * probe.tolerance)
    yield Measurement(
        "log_density has values that are not finite",
        count_not_finite(probe.metric.log_density(probe.points)),
    )


@dataclass(frozen=True)
class RowFunction:
    """A function of points, (n, d) to (n,), whose gradient is the truth that methods are held against."""

    function: Callable[[Tensor], Tensor]
    size: Tensor

    def gap(self, actual: Tensor, expected: Tensor) -> float:
        """Return the relative gap of two gradients, rounding beside the function's size left out."""
        return relative_gap(actual, expected, self.size)

    def gradient(self, probe: MetricProbe) -> tuple[Tensor, float]:
        """Return the gradient, (n, d), by autograd or else by differences, and what it is good for."""
        slope = row_derivative(self.function, probe.points)
        if slope is not None:
            return slope, probe.tolerance
        return row_differences(self.function, probe.points), max(probe.tolerance, DIFFERENCE_TOLERANCE)

    def measure(self, probe: MetricProbe, what: str, actual: Tensor) -> Measurement:
        """Measure a supposed gradient, (n, d)."""
        expected, tolerance = self.gradient(probe)
        return Measurement(what, self.gap(actual, expected), tolerance)


def _log_density(probe: MetricProbe) -> RowFunction:
    """Return log pi."""
    return RowFunction(probe.metric.log_density, 1.0 + row_size(probe.metric.log_density(probe.points)))


def _form(probe: MetricProbe, name: str, u: Tensor, v: Tensor) -> RowFunction:
    """Return z -> u^T A(z) v of a method that gives matrices, for fixed vectors, (n, d) each.

    One gradient tells of all d^2 entries: an error in any of them shows in forms of generic vectors.
    """

    def form(point: Tensor) -> Tensor:
        return torch.einsum("nij,ni,nj->n", getattr(probe.metric, name)(point), u, v)

    return RowFunction(form, row_size(getattr(probe.metric, name)(probe.points)))


def differentiable(probe: MetricProbe) -> Measurements:
    """Check that autograd through cometric_matrix and log_density gives what differences give."""
    form = _form(probe, "cometric_matrix", probe.first, probe.second)
    for name, row in (("cometric_matrix", form), ("log_density", _log_density(probe))):
        slope = row_derivative(row.function, probe.points)
        if slope is not None:
            gap = row.gap(slope, row_differences(row.function, probe.points))
            yield Measurement(f"autograd through {name} is not its derivative", gap, DIFFERENCE_TOLERANCE)


def derivatives(probe: MetricProbe) -> Measurements:
    """Check that methods that give derivatives give the derivatives."""
    gradient = probe.metric.log_density_gradient(probe.points)
    what = "log_density_gradient is not the derivative of log_density"
    yield _log_density(probe).measure(probe, what, gradient)
    pairs = {"cometric_derivative": "cometric_matrix"}
    if isinstance(probe.metric, TensorMetric):
        pairs["metric_derivative"] = "metric_matrix"
    for name, of in pairs.items():
        slopes = getattr(probe.metric, name)(probe.points)
        for u, v in probe.pairs:
            actual = torch.einsum("nijk,ni,nj->nk", slopes, u, v)
            yield _form(probe, of, u, v).measure(probe, f"{name} is not the derivative of {of}", actual)


def equations_of_motion(probe: MetricProbe) -> Measurements:
    """Check that velocities, momenta and forces follow from C and dC/dz."""
    metric, points, momentum = probe.metric, probe.points, probe.first
    cometric, local = metric.cometric_matrix(points), metric.local_geometry(points)
    velocity = torch.einsum("nij,nj->ni", cometric, momentum)
    first, second = metric.velocity_and_gradient(points, momentum)
    back = metric.momentum_of(points, velocity)
    yield probe.close("velocity_of is not C q", metric.velocity_of(points, momentum), velocity)
    yield probe.close("momentum_of does not invert velocity_of", back, momentum)
    yield probe.close("velocity_and_gradient, first, is not C q", first, velocity)
    yield probe.close("local_geometry, cometric, is not C", local.cometric, cometric)
    energy = _form(probe, "cometric_matrix", momentum, 0.5 * momentum)
    force = metric.kinetic_gradient(points, momentum)
    yield energy.measure(probe, "kinetic_gradient is not 1/2 q^T (dC/dz) q", force)
    yield energy.measure(probe, "velocity_and_gradient, second, is not 1/2 q^T (dC/dz) q", second)
    for u, v in probe.pairs:
        form = _form(probe, "cometric_matrix", u, v)
        columns = torch.einsum("nik,ni->nk", metric.momentum_derivative(points, v), u)
        yield form.measure(probe, "momentum_derivative is not (dC/dz_k) q", columns)
        slopes = torch.einsum("nkij,ni,nj->nk", local.derivative, u, v)
        yield form.measure(probe, "local_geometry, derivative, is not dC/dz_k, k first", slopes)


def lengths(probe: MetricProbe) -> Measurements:
    """Check that inner_product, norm and hamiltonian are quadratic forms in G, G and C."""
    metric, points, u, v = probe.metric, probe.points, probe.first, probe.second
    tensor, cometric = metric.metric_matrix(points), metric.cometric_matrix(points)
    inner = torch.einsum("nij,ni,nj->n", tensor, u, v)
    square = torch.einsum("nij,ni,nj->n", tensor, u, u)
    energy = 0.5 * torch.einsum("nij,ni,nj->n", cometric, u, u)
    # measured against the norms: an inner product may be near zero by cancellation
    other = torch.einsum("nij,ni,nj->n", tensor, v, v)
    gap = (metric.inner_product(u, v, points) - inner).abs() / (square * other).sqrt()
    yield Measurement("inner_product is not u^T G v", float(gap.max()), probe.tolerance)
    yield probe.close("norm is not the root of u^T G u", metric.norm(u, points), square.sqrt())
    yield probe.close("hamiltonian is not 1/2 q^T C q", metric.hamiltonian(points, u), energy)


def momentum_covariance(probe: MetricProbe) -> Measurements:
    """Check that sample_momentum applies a square root of G: unit vectors give its rows."""
    dim = probe.metric.dim
    places = probe.points[:, None, :].expand(-1, dim, -1)
    units = torch.eye(dim).to(places).expand(len(probe.points), -1, -1)
    rows = probe.metric.sample_momentum(places, units)
    expected = probe.metric.metric_matrix(probe.points)
    yield probe.close("sample_momentum has not the covariance G", rows.mT @ rows, expected)
    twice = probe.metric.sample_momentum(places, 2.0 * units)
    yield probe.close("sample_momentum is not linear in the noise", twice, 2.0 * rows)


def batch_shapes(probe: MetricProbe) -> Measurements:
    """Check that every method takes any batch dimensions, none and empty ones included, row by row."""
    everywhere = [batches(rows) for rows in (probe.points, probe.first, probe.second)]
    for name, (order, quantity) in QUANTITIES.items():
        whole = quantity(probe.metric, probe.points, probe.first, probe.second)
        for label, point in everywhere[0].items():
            value = quantity(probe.metric, point, everywhere[1][label], everywhere[2][label])
            shape = (*point.shape[:-1], *[probe.metric.dim] * order)
            wrong = value.shape != shape
            found = f"{name} of {label} has shape {tuple(value.shape)}, must be {shape}"
            yield Measurement(found, float(wrong))
            if not wrong and point.numel():
                rows = value.reshape(-1, *whole.shape[1:])
                yield probe.close(f"{name} of {label} is not that of the row", rows, whole[: len(rows)])


def far_away(probe: MetricProbe) -> Measurements:
    """Check that C stays finite and positive definite, and the law finite, far from the points."""
    if probe.far is None:
        return
    direction = probe.first / probe.first.norm(dim=-1, keepdim=True)
    for distance in (1e-3 * probe.far, probe.far):
        places = probe.points + distance * direction
        for name in ("cometric_factor", "log_density", "log_density_gradient", "cometric_derivative"):
            value = QUANTITIES[name][1](probe.metric, places, probe.first, probe.second)
            yield Measurement(f"{name} is not finite {distance:.0e} away", count_not_finite(value))


def inputs_left_alone(probe: MetricProbe) -> Measurements:
    """Check that no method changes the tensors passed in."""
    given = (probe.points, probe.first, probe.second)
    for name, (_, quantity) in QUANTITIES.items():
        passed = [rows.clone() for rows in given]
        # whatever else is wrong with a method, the invariant that it breaks says so
        with contextlib.suppress(Exception):
            quantity(probe.metric, *passed)
        changed = sum(absolute_gap(now, then) for now, then in zip(passed, given, strict=True))
        yield Measurement(f"{name} changes the tensors passed in", changed)


def pure(probe: MetricProbe) -> Measurements:
    """Check that evaluation is repeatable and changes neither the metric nor global generators."""
    before = {name: tensor.clone() for name, tensor in probe.metric.state_dict().items()}
    given = (probe.points, probe.first, probe.second)
    with GlobalRandomness() as randomness:
        for name, (_, quantity) in QUANTITIES.items():
            value, again = quantity(probe.metric, *given), quantity(probe.metric, *given)
            yield Measurement(f"{name} differs when asked again", absolute_gap(value, again))
    yield Measurement("a global random generator is used", float(randomness.touched))
    changed = sum(not torch.equal(before[name], now) for name, now in probe.metric.state_dict().items())
    yield Measurement("the state of the metric is changed by evaluating it", float(changed))


def tensors_follow(probe: MetricProbe) -> Measurements:
    """Check that all tensors are buffers or parameters: `.to` moves them, `state_dict` holds them."""
    for module in probe.metric.modules():
        plain = [name for name, value in vars(module).items() if _holds_tensor(name, value)]
        what = f"{type(module).__name__} holds {', '.join(plain)} outside its buffers"
        yield Measurement(what, float(len(plain)))
    single = copy.deepcopy(probe.metric).float()
    inputs = [rows.float() for rows in (probe.points, probe.first, probe.second)]
    for name, (_, quantity) in QUANTITIES.items():
        value = quantity(single, *inputs)
        found = f"{name} of float32 points, after .float(), is {value.dtype}"
        yield Measurement(found, float(value.dtype != torch.float32))
    value = single.double().cometric_matrix(probe.points)
    yield Measurement("cometric_matrix after .double() is not float64", float(value.dtype != torch.float64))
    if torch.cuda.is_available():
        moved = copy.deepcopy(probe.metric).to("cuda")
        value = moved.cometric_matrix(probe.points.to("cuda"))
        expected = probe.metric.cometric_matrix(probe.points)
        yield probe.close("cometric_matrix differs on the GPU", value.to(expected.device), expected)


def _holds_tensor(name: str, value: object) -> bool:
    """Return whether an attribute of a module is a tensor, or a list or dictionary with some."""
    if name in ("_buffers", "_parameters", "_modules"):
        return False
    if isinstance(value, dict):
        value = list(value.values())
    items = value if isinstance(value, (list, tuple)) else [value]
    return any(isinstance(item, Tensor) for item in items)


def default_support(probe: MetricProbe) -> Measurements:
    """Check that default_support fits the metric, or raises InvalidInputError if there is none."""
    try:
        support = probe.metric.default_support()
    except InvalidInputError:
        return
    found = f"default_support has dimension {support.centroids.shape[1]}, the metric {probe.metric.dim}"
    yield Measurement(found, float(support.centroids.shape[1] != probe.metric.dim))
    outside = float((~support.contains(support.centroids)).sum())
    yield Measurement("default_support leaves its own centroids outside", outside)


METRIC_INVARIANTS = {
    "inputs are left alone": inputs_left_alone,
    "symmetric positive definite": finite_and_positive,
    "metric and cometric are inverse": inverse_of_each_other,
    "sign of the volume element": sign_of_the_volume,
    "differentiable": differentiable,
    "derivatives": derivatives,
    "equations of motion": equations_of_motion,
    "lengths": lengths,
    "momentum covariance": momentum_covariance,
    "batch shapes": batch_shapes,
    "finite far away": far_away,
    "no side effects": pure,
    "tensors follow the module": tensors_follow,
    "default support": default_support,
}
