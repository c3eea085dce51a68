"""The Riemannian Hamiltonian VAE (Chadebec et al. 2020, arXiv 2010.11518), with the full objective."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from riemaug import linalg
from riemaug.errors import NotFittedError
from riemaug.geometry.implicit import GeneralizedLeapfrog, PhasePoint
from riemaug.geometry.kernel import KernelMetric
from riemaug.geometry.metric import LocalGeometry
from riemaug.models.base import LOG_2PI, LatentModel, Objective, Posterior, standard_normal_log_prob
from riemaug.models.build import build_metric_network
from riemaug.models.condition import Condition, features_of
from riemaug.models.config import ModelConfig
from riemaug.models.networks import Decoder
from riemaug.random import Stream, as_stream

GEOMETRY_DTYPE = torch.float64
"""The flow and its d x d factorisations run in float64: they cost little beside the networks."""


@dataclass(frozen=True)
class FlowDraw:
    """One draw of the RHVAE's flow for each row of a batch: log-evidence estimate, its parts, failures."""

    log_evidence: Float[Tensor, " n"]
    log_likelihood: Float[Tensor, " n"]
    failed_steps: int


class _Potential:
    """The force of U(z) = -log p(x|z) - log p(z) - 1/2 log det C(z), and the logits where last asked.

    The force costs one pass and one vector-Jacobian product of the decoder; it does not depend on the
    momentum, so the leapfrog computes it once a position.
    """

    def __init__(self, model: "RHVAE", data: Float[Tensor, "n D"], condition: Condition | None) -> None:
        self.model, self.data, self.features = model, data, features_of(condition)
        self.logits = data

    def __call__(self, local: LocalGeometry) -> Float[Tensor, "n dim"]:
        latent = local.point.to(self.data.dtype)
        self.logits, pullback = self.model.decoder.forward_with_pullback(latent, self.features)
        score = pullback(self.model.likelihood.score(self.logits, self.data))
        return local.point - score - 0.5 * local.log_det_gradient()


class RHVAE(LatentModel):
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
        self.integrator = GeneralizedLeapfrog(tolerance=1e-8, check_reversal=False)

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
        metric = self.metric if group is None else self.group_metrics.get(str(group))
        if metric is None:
            raise NotFittedError(
                "the evidence estimate needs the stored metric, this model has none: "
                "call build_metric(data) with the training data"
            )
        assert isinstance(metric, KernelMetric)
        return metric

    def objective(
        self, data: Float[Tensor, "n D"], generator: torch.Generator, condition: Condition | None = None
    ) -> Objective:
        """Return the log-evidence estimate of the flow under the batch's own metric."""
        posterior = self.encode(data, condition)
        factors = self.metric_network(data, features_of(condition))
        draws = []
        for rows in _groups(condition):
            part = Posterior(posterior.mean[rows], posterior.log_variance[rows])
            metric = self._metric_of(part.mean, factors[rows])
            told = None if condition is None else condition[rows]
            draws.append(self._flow(data[rows], part, metric, self.integrator, generator, told))
        log_likelihood = torch.cat([draw.log_likelihood for draw in draws])
        divergence = log_likelihood - torch.cat([draw.log_evidence for draw in draws])
        return Objective(log_likelihood, divergence, sum(draw.failed_steps for draw in draws))

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
        posterior = self.encode(data, condition)
        estimate = torch.empty_like(data[:, 0])
        for rows in _groups(condition):
            told = None if condition is None else condition[rows]
            metric = self.metric_of_group(None if told is None else int(told.group[0]))
            part = Posterior(posterior.mean[rows], posterior.log_variance[rows])
            flow = self._flow(data[rows], part, metric, GeneralizedLeapfrog(), generator, told)
            estimate = estimate.index_put((_indices(rows, data),), flow.log_evidence)
        return estimate

    def _metric_of(
        self, centroids: Float[Tensor, "n dim"], factors: Float[Tensor, "n dim dim"]
    ) -> KernelMetric:
        """Return the metric of encoded samples, scaled so that the M_i have a mean trace of d.

        The scale is no part of the geometry, only of the flow; left free, training shrinks it to
        switch the flow off, and lambda comes to dominate the metric.
        """
        factors = factors.to(GEOMETRY_DTYPE)
        mean_trace = (factors * factors).sum((-1, -2)).mean() / factors.shape[-1]
        return KernelMetric(
            centroids.to(GEOMETRY_DTYPE),
            factors / mean_trace.sqrt(),
            self.config.bandwidth,
            self.config.regularization,
        )

    def _flow(
        self,
        data: Float[Tensor, "n D"],
        posterior: Posterior,
        metric: KernelMetric,
        integrator: GeneralizedLeapfrog,
        generator: torch.Generator,
        condition: Condition | None = None,
    ) -> FlowDraw:
        """Draw z0 and the momentum, run K tempered leapfrog steps, return the evidence estimate.

        log p(x|zK) + log p(zK) + log N(rhoK; 0, G(zK)) - log q(z0|x) - log N(gamma; 0, I)
        + 1/2 log det G(z0); the tempering's Jacobian cancels the beta0 of the momentum's law.
        """
        noise, gamma = self._noise(data, generator), self._noise(data, generator).to(GEOMETRY_DTYPE)
        start = posterior.transform(noise).to(GEOMETRY_DTYPE)
        local = metric.local_geometry(start)
        momentum = linalg.solve_lower_transposed(local.factor, gamma) / self._sqrt_beta(0)
        potential = _Potential(self, data, condition)
        state, failed = self._leapfrog(
            PhasePoint(local, momentum, potential(local)), metric, integrator, potential
        )
        estimate = (
            standard_normal_log_prob(state.position)
            + _momentum_log_prob(state.local, state.momentum)
            - standard_normal_log_prob(gamma)
            - 0.5 * local.log_det_cometric()
        )
        log_likelihood = self.likelihood.log_prob(potential.logits, data)
        log_evidence = log_likelihood + estimate.to(data.dtype) - posterior.log_prob_of_noise(noise)
        return FlowDraw(log_evidence, log_likelihood, failed)

    def _leapfrog(
        self, state: PhasePoint, metric: KernelMetric, integrator: GeneralizedLeapfrog, potential: _Potential
    ) -> tuple[PhasePoint, int]:
        failed = 0
        for k in range(1, self.config.num_leapfrog_steps + 1):
            before = potential.logits
            state, solved = integrator.step(metric, state, self.config.leapfrog_step_size, potential)
            if not bool(solved.all()):
                potential.logits = torch.where(solved[:, None], potential.logits, before)
            tempered = state.momentum * (self._sqrt_beta(k - 1) / self._sqrt_beta(k))
            state = PhasePoint(state.local, tempered, state.force)
            failed += int((~solved).sum())
        return state, failed

    def _sqrt_beta(self, k: int) -> float:
        """Return sqrt(beta_k): from sqrt(beta0) at k = 0 up to 1 at the last step, quadratically."""
        steps = self.config.num_leapfrog_steps
        if steps == 0:
            return 1.0
        inverse_start = self.config.initial_inverse_temperature**-0.5
        return 1.0 / ((1.0 - inverse_start) * (k / steps) ** 2 + inverse_start)


def _momentum_log_prob(local: LocalGeometry, momentum: Float[Tensor, "n dim"]) -> Float[Tensor, " n"]:
    """Return log N(rho; 0, G(z)) = 1/2 log det C - 1/2 rho^T C rho - d/2 log 2 pi, (n,)."""
    squares = (momentum * local.velocity_of(momentum)).sum(-1)
    return 0.5 * (local.log_det_cometric() - squares - momentum.shape[-1] * LOG_2PI)


def _groups(condition: Condition | None) -> "list[slice | Tensor]":
    """Return the rows of each class, all rows where there are no classes."""
    if condition is None:
        return [slice(None)]
    return [torch.nonzero(condition.group == group)[:, 0] for group in condition.group.unique()]


def _indices(rows: "slice | Tensor", data: Float[Tensor, "n D"]) -> Tensor:
    return torch.arange(len(data), device=data.device)[rows]
