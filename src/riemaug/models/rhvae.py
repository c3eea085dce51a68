"""The Riemannian Hamiltonian VAE (Chadebec et al. 2020, arXiv 2010.11518), with the full objective."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from riemaug.errors import NotFittedError
from riemaug.geometry.implicit import GeneralizedLeapfrog
from riemaug.geometry.kernel import KernelMetric
from riemaug.geometry.kernel_leapfrog import PackedKernels, can_compile_leapfrog
from riemaug.models.base import Objective, Posterior
from riemaug.models.build import build_metric_network
from riemaug.models.condition import Condition, features_of
from riemaug.models.config import ModelConfig
from riemaug.models.dynamics import KernelDynamics, MetricDynamics
from riemaug.models.flow import GEOMETRY_DTYPE, Dynamics, FlowModel
from riemaug.models.networks import Decoder
from riemaug.random import Stream, as_stream

TRAINING_TOLERANCE = 1e-8
"""Of the implicit equations while training; one more Newton step is taken, so they hold to rounding."""
STORED_METRICS = ("metric.", "group_metrics.")
"""How the names of a model's tensors begin that belong to metrics it stores, not to its networks."""


@dataclass(frozen=True, eq=False)
class EncodedKernels:
    """What makes the metric of a batch.

    Attributes
    ----------
    centroids : Tensor (n, d)
    factors : Tensor (n, d, d)
        As the metric network gives them, of any scale.
    group : Tensor (n,), int64, optional
        The class of each; None where there is one metric for all.
    """

    centroids: Float[Tensor, "n dim"]
    factors: Float[Tensor, "n dim dim"]
    group: Int[Tensor, " n"] | None = None


class RHVAE(FlowModel):
    """A VAE whose posterior draws are moved by Riemannian Hamiltonian dynamics in a learned metric.

    While training, the metric is the batch's own: its centroids are the batch's posterior means.
    `build_metric` makes the stored metric in one pass with the final weights.

    Of a conditional model each class has a metric of its own, made of its own kernels alone.

    Parameters
    ----------
    config, random_state, encoder, decoder
        As in `LatentModel`.
    """

    def __init__(
        self,
        config: ModelConfig,
        random_state: int | Stream = 0,
        encoder: nn.Module | None = None,
        decoder: Decoder | None = None,
    ) -> None:
        super().__init__(config, random_state, encoder, decoder)
        self.metric_network = build_metric_network(config, as_stream(random_state))
        self.metric: KernelMetric | None = None
        self.group_metrics = nn.ModuleDict()

    @torch.no_grad()
    def build_metric(
        self, data: Float[Tensor, "n D"], condition: Condition | None = None, chunk: int = 1024
    ) -> KernelMetric:
        """Return the metric of training data under the present weights, in float64, and store it.

        The data of a conditional model must be of one class; its metric is stored beside the others'.
        """
        parts = [slice(start, start + chunk) for start in range(0, len(data), chunk)]
        told = [None if condition is None else condition[part] for part in parts]
        pairs = list(zip(parts, told, strict=True))
        centroids = torch.cat([self.embed(data[part], known) for part, known in pairs])
        factors = torch.cat([self.metric_network(data[part], features_of(known)) for part, known in pairs])
        metric = self._metric_of(centroids, factors)
        if condition is None:
            self.metric = metric
        else:
            (group,) = condition.group.unique().tolist()
            self.group_metrics[str(group)] = metric
        return metric

    def metric_of_group(self, group: int | None) -> KernelMetric:
        """Return the stored metric, of a class or, for None, of an unconditional model.

        Raises
        ------
        NotFittedError
            There is none yet.
        """
        known = dict(self.group_metrics.items())
        metric = self.metric if group is None else known.get(str(group))
        if metric is None:
            raise NotFittedError(
                "the evidence estimate needs the stored metric, this model has none: "
                "call build_metric(data) with the training data"
            )
        assert isinstance(metric, KernelMetric)
        return metric

    def kernels_of(
        self,
        data: Float[Tensor, "n D"],
        posterior: Posterior | None = None,
        condition: Condition | None = None,
    ) -> EncodedKernels:
        """Return centroids and factors of a batch; its `posterior` is encoded if it is not given."""
        known = self.encode(data, condition) if posterior is None else posterior
        factors = self.metric_network(data, features_of(condition))
        return EncodedKernels(known.mean, factors, None if condition is None else condition.group)

    def objective(
        self, data: Float[Tensor, "n D"], generator: torch.Generator, condition: Condition | None = None
    ) -> Objective:
        """Return the log-evidence estimate of the flow under the batch's own metric."""
        posterior = self.encode(data, condition)
        if not self.follows_flow:
            return self.plain_objective(data, posterior, generator, condition)
        kernels = self.kernels_of(data, posterior, condition)
        return self.objective_in_metric(data, posterior, kernels, generator, condition)

    def objective_in_metric(
        self,
        data: Float[Tensor, "n D"],
        posterior: Posterior,
        kernels: EncodedKernels,
        generator: torch.Generator,
        condition: Condition | None = None,
    ) -> Objective:
        """Return the log-evidence estimate of the flow under the metric of any kernels.

        Where several processes share a batch they are those of all of it.
        """
        centroids, factors = self._scaled(kernels)
        groups = None if kernels.group is None or condition is None else (kernels.group, condition.group)
        dynamics: Dynamics
        if can_compile_leapfrog(centroids):
            packed = self._packed(centroids, factors, groups, len(data))
            dynamics = KernelDynamics(packed, TRAINING_TOLERANCE)
        else:
            integrator = GeneralizedLeapfrog(tolerance=TRAINING_TOLERANCE, check_reversal=False)
            dynamics = MetricDynamics(self._parts(centroids, factors, groups, data), integrator)
        return self.draw(data, posterior, dynamics, generator, condition).as_objective()

    def log_evidence_estimate(
        self, data: Float[Tensor, "n D"], generator: torch.Generator, condition: Condition | None = None
    ) -> Float[Tensor, " n"]:
        """Return one unbiased-in-exp estimate of log p(x) a row under the stored metric, (n,).

        Steps that fail, forwards or backwards, keep the position.

        Raises
        ------
        NotFittedError
            There is no stored metric yet.
        """
        return self.draw(
            data, self.encode(data, condition), self._stored_dynamics(data, condition), generator, condition
        ).log_evidence

    def _stored_dynamics(self, data: Float[Tensor, "n D"], condition: Condition | None) -> Dynamics:
        """Return the flow under the stored metrics of the rows' groups, with its reversal checked."""
        if condition is None:
            parts = [(torch.arange(len(data), device=data.device), self.metric_of_group(None))]
            numbers = [0]
        else:
            numbers = condition.group.unique().tolist()
            parts = [
                (torch.nonzero(condition.group == number)[:, 0], self.metric_of_group(number))
                for number in numbers
            ]
        metrics = [metric for _, metric in parts]
        if not all(can_compile_leapfrog(metric.centroids) for metric in metrics):
            return MetricDynamics(parts, GeneralizedLeapfrog())
        centroids = torch.cat([metric.centroids for metric in metrics])
        factors = torch.cat([metric.factors for metric in metrics])
        groups = None
        if condition is not None:
            sizes = torch.tensor([metric.num_centroids for metric in metrics])
            groups = torch.tensor(numbers).repeat_interleave(sizes), condition.group
        packed = self._packed(centroids, factors, groups, len(data))
        return KernelDynamics(packed, check_reversal=True)

    def _scaled(self, kernels: EncodedKernels) -> tuple[Float[Tensor, "n dim"], Float[Tensor, "n dim dim"]]:
        """Return float64 kernels, scaled so that the M_i of a group have a mean trace of d.

        The scale is no part of the geometry, only of the flow; left free, training shrinks it to
        switch the flow off, and lambda comes to dominate the metric.
        """
        factors = kernels.factors.to(GEOMETRY_DTYPE)
        traces = (factors * factors).sum((-1, -2)) / factors.shape[-1]
        if kernels.group is None:
            scale = traces.mean()
        else:
            _, number, count = kernels.group.unique(return_inverse=True, return_counts=True)
            sums = torch.zeros(len(count), dtype=traces.dtype, device=traces.device)
            scale = (sums.index_add(0, number, traces) / count)[number][:, None, None]
        return kernels.centroids.to(GEOMETRY_DTYPE), factors / scale.sqrt()

    def _metric_of(
        self, centroids: Float[Tensor, "n dim"], factors: Float[Tensor, "n dim dim"]
    ) -> KernelMetric:
        """Return the metric of encoded samples of one group."""
        return KernelMetric(
            *self._scaled(EncodedKernels(centroids, factors)),
            self.config.bandwidth,
            self.config.regularization,
        )

    def _packed(
        self,
        centroids: Float[Tensor, "N dim"],
        factors: Float[Tensor, "N dim dim"],
        groups: tuple[Int[Tensor, " N"], Int[Tensor, " n"]] | None,
        num_rows: int,
    ) -> PackedKernels:
        """Return scaled kernels for the compiled flow."""
        config = self.config
        return PackedKernels.of(centroids, factors, config.bandwidth, config.regularization, num_rows, groups)

    def _parts(
        self,
        centroids: Float[Tensor, "N dim"],
        factors: Float[Tensor, "N dim dim"],
        groups: tuple[Int[Tensor, " N"], Int[Tensor, " n"]] | None,
        data: Float[Tensor, "n D"],
    ) -> list[tuple[Tensor, KernelMetric]]:
        """Return the rows of each group and its metric, from scaled kernels."""
        constants = self.config.bandwidth, self.config.regularization
        if groups is None:
            rows = torch.arange(len(data), device=data.device)
            return [(rows, KernelMetric(centroids, factors, *constants))]
        parts = []
        for group in groups[1].unique():
            own = torch.nonzero(groups[0] == group)[:, 0]
            rows = torch.nonzero(groups[1] == group)[:, 0]
            parts.append((rows, KernelMetric(centroids[own], factors[own], *constants)))
        return parts
