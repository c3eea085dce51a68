"""What a VAE and an RHVAE offer beside the objective: encodings, metric, state, independence."""

import copy
import math
import operator
from collections.abc import Callable
from itertools import accumulate
from typing import get_args

import pytest
import torch
from torch import Tensor

from riemaug.errors import NotFittedError
from riemaug.models import RHVAE, LatentModel, ModelKind, Posterior, build_model, paper_model
from riemaug.models.base import standard_normal_log_prob
from riemaug.models.factory import KINDS
from riemaug.models.flow import Schedule

Build = Callable[..., LatentModel]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def rhvae(small_model: Build, unit_data: Tensor) -> RHVAE:
    model = small_model(kind="rhvae")
    assert isinstance(model, RHVAE)
    model.build_metric(unit_data)
    return model


def test_the_kind_decides_the_class() -> None:
    assert isinstance(build_model(paper_model(12)), RHVAE)
    for kind in get_args(ModelKind):
        assert type(build_model(paper_model(12, kind))).__name__.lower() == kind


def test_the_posterior_is_the_diagonal_normal() -> None:
    mean = torch.randn(5, 3, generator=generator(0), dtype=torch.float64)
    log_variance = torch.randn(5, 3, generator=generator(1), dtype=torch.float64)
    noise = torch.randn(5, 3, generator=generator(2), dtype=torch.float64)
    posterior = Posterior(mean, log_variance)
    law = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
    prior = torch.distributions.Normal(torch.zeros_like(mean), 1.0)
    draw = posterior.transform(noise)
    assert torch.allclose(draw, law.loc + law.scale * noise)
    assert torch.allclose(posterior.log_prob_of_noise(noise), law.log_prob(draw).sum(-1))
    divergence = torch.distributions.kl_divergence(law, prior).sum(-1)
    assert torch.allclose(posterior.kl_to_prior(), divergence)
    assert torch.allclose(standard_normal_log_prob(draw), prior.log_prob(draw).sum(-1))


def test_the_vae_objective_is_the_mean_of_its_evidence_estimate(small_model: Build) -> None:
    model = small_model(kind="vae").double()
    with torch.no_grad():
        model.encoder.mean.weight.mul_(8.0)
    data = torch.rand(1, 12, generator=generator(1), dtype=torch.float64).expand(20_000, -1)
    objective = model.objective(data, generator(4))
    estimate = model.log_evidence_estimate(data, generator(4)).detach()
    kl = model.encode(data[:1]).kl_to_prior().detach()
    # the closed-form divergence against its own draws, 5 standard errors
    spread = 5 * float(estimate.std()) / math.sqrt(20_000)
    assert float(objective.elbo.detach()) == pytest.approx(float(estimate.mean()), abs=spread)
    gap = objective.reconstruction - objective.elbo
    assert float(gap.detach()) == pytest.approx(float(kl))
    assert objective.failed_steps == 0
    assert spread < 0.2 * float(kl)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_encodings_are_the_same_at_each_call(small_model: Build, unit_data: Tensor, kind: str) -> None:
    model = small_model(kind=kind)
    assert torch.equal(model.embed(unit_data), model.embed(unit_data))
    assert torch.equal(model.embed(unit_data), model.encode(unit_data).mean)
    decoded = model.decode(model.embed(unit_data)).detach()
    assert decoded.shape == unit_data.shape
    assert 0 <= float(decoded.min()) < float(decoded.max()) <= 1


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_weights_follow_from_the_seed_and_nothing_else(small_model: Build, kind: str) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one, same, other = (small_model(seed, kind=kind) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    for a, b, c in zip(one.parameters(), same.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)
        assert not torch.equal(a, c)


@pytest.mark.parametrize("kind", ["vae", "vamp", "hvae"])
def test_all_kinds_begin_with_the_weights_of_the_rhvae(small_model: Build, kind: str) -> None:
    model, rhvae = small_model(kind=kind), small_model(kind="rhvae")
    shared = dict(rhvae.named_parameters())
    common = [(name, weight) for name, weight in model.named_parameters() if name in shared]
    assert {name.split(".")[0] for name, _ in common} == {"encoder", "decoder"}
    assert len(common) == len([*model.encoder.parameters(), *model.decoder.parameters()])
    for name, weight in common:
        assert torch.equal(weight, shared[name])
    assert not torch.equal(model.encoder.mean.weight, model.encoder.log_variance.weight)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_objectives_leave_the_global_generator_alone(
    small_model: Build, unit_data: Tensor, kind: str
) -> None:
    model = small_model(kind=kind)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    values = [float(model.objective(unit_data, generator(seed)).elbo.detach()) for seed in (0, 0, 1)]
    assert torch.equal(torch.get_rng_state(), before)
    assert values[0] == values[1] != values[2]


# the stored metric


def test_centroids_are_the_encodings_one_a_sample_in_order(rhvae: RHVAE, unit_data: Tensor) -> None:
    assert rhvae.metric is not None
    assert torch.equal(rhvae.metric.centroids, rhvae.embed(unit_data).detach().double())
    # the factors are the network's up to one common scale, which gives the M_i a mean trace of d
    ratio = rhvae.metric.factors / rhvae.metric_network(unit_data).detach().double()
    entries = ratio[:, *torch.tril_indices(2, 2)]
    assert torch.allclose(entries, entries[0, 0].expand_as(entries))
    traces = rhvae.metric.kernels.unflatten(1, (2, 2)).diagonal(dim1=-2, dim2=-1).sum(-1)
    assert float(traces.mean()) == pytest.approx(2.0)
    assert float(traces.std()) > 1e-3
    assert rhvae.metric.num_centroids == len(unit_data)
    assert (rhvae.metric.bandwidth, rhvae.metric.regularization) == (0.8, 1e-3)
    rhvae.build_metric(unit_data[:4])
    assert rhvae.metric.num_centroids == 4


@pytest.mark.parametrize("chunk", [1, 3, 10])
def test_the_metric_does_not_depend_on_the_chunks(rhvae: RHVAE, unit_data: Tensor, chunk: int) -> None:
    whole = rhvae.build_metric(unit_data)
    parts = rhvae.build_metric(unit_data, chunk=chunk)
    assert torch.allclose(parts.centroids, whole.centroids, atol=1e-6)
    assert torch.allclose(parts.factors, whole.factors, atol=1e-6)


def test_the_metric_is_positive_definite_and_cut_from_the_graph(rhvae: RHVAE, unit_data: Tensor) -> None:
    metric = rhvae.build_metric(unit_data)
    points = torch.randn(50, 2, generator=generator(0), dtype=torch.float64)
    matrix = metric.metric_matrix(points)
    assert torch.allclose(matrix, matrix.mT)
    assert float(torch.linalg.eigvalsh(matrix).min()) > 0
    assert not any(buffer.requires_grad for buffer in metric.buffers())


def test_the_metric_is_part_of_the_state_and_moves_with_the_model(rhvae: RHVAE) -> None:
    names = {name for name in rhvae.state_dict() if name.startswith("metric.")}
    assert names == {"metric.centroids", "metric.factors"}
    assert not any(name.startswith("metric.") for name, _ in rhvae.named_parameters())
    rhvae.to(torch.device("meta"))
    assert rhvae.metric is not None
    assert {buffer.device.type for buffer in rhvae.metric.buffers()} == {"meta"}
    assert rhvae.device.type == "meta"


def test_a_deep_copy_is_independent(rhvae: RHVAE, unit_data: Tensor) -> None:
    twin = copy.deepcopy(rhvae)
    assert twin.metric is not None
    kept = twin.log_evidence_estimate(unit_data, generator(0)).detach()
    centroids = twin.metric.centroids.clone()
    with torch.no_grad():
        for tensor in (*rhvae.parameters(), *rhvae.buffers()):
            tensor.add_(1.0)
    assert torch.equal(twin.metric.centroids, centroids)
    assert torch.equal(twin.log_evidence_estimate(unit_data, generator(0)).detach(), kept)
    assert not torch.equal(rhvae.log_evidence_estimate(unit_data, generator(0)).detach(), kept)


def test_training_does_not_touch_the_stored_metric(rhvae: RHVAE, unit_data: Tensor) -> None:
    assert rhvae.metric is not None
    stored = rhvae.metric
    centroids = stored.centroids.clone()
    rhvae.objective(unit_data[:3], generator(0)).elbo.backward()
    assert rhvae.metric is stored
    assert torch.equal(stored.centroids, centroids)


def test_the_evidence_needs_the_metric_of_the_training_data(small_model: Build, unit_data: Tensor) -> None:
    model = small_model(kind="rhvae")
    with pytest.raises(NotFittedError, match=r"call build_metric\(data\)") as caught:
        model.log_evidence_estimate(unit_data, generator(0))
    assert "\n" not in str(caught.value)


def test_the_evidence_of_a_sample_does_not_depend_on_its_batch(rhvae: RHVAE, unit_data: Tensor) -> None:
    rhvae.double()
    data = unit_data.double()
    whole = rhvae.log_evidence_estimate(data, generator(0)).detach()
    # other rows, same noise
    other = rhvae.log_evidence_estimate(torch.cat([data[:1], 1.0 - data[1:]]), generator(0)).detach()
    assert float(other[0]) == pytest.approx(float(whole[0]), abs=1e-9)
    assert float((other[1:] - whole[1:]).abs().min()) > 1e-6


@pytest.mark.parametrize("start", [1.0, 0.25, 0.09])
def test_tempering_is_the_quadratic_schedule_up_to_one(start: float) -> None:
    schedule = Schedule(num_steps=4, step_size=0.1, initial_inverse_temperature=start)
    root = 1 / math.sqrt(start)
    expected = [(1 - root) * (k / 4) ** 2 + root for k in range(5)]
    assert list(accumulate((schedule.factor(k) for k in range(5)), operator.mul)) == pytest.approx(expected)
    assert Schedule(0, 0.1, start).factor(0) == 1.0


@pytest.mark.parametrize("latent_dim", [1, 2, 3, 8])
def test_all_latent_dimensions_train(small_model: Build, unit_data: Tensor, latent_dim: int) -> None:
    model = small_model(kind="rhvae", latent_dim=latent_dim)
    objective = model.objective(unit_data, generator(0))
    objective.elbo.backward()
    assert objective.elbo.isfinite()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in model.parameters())


def test_look_alikes_and_a_lone_sample_have_finite_gradients(small_model: Build, unit_data: Tensor) -> None:
    for data in (unit_data[:1], unit_data[:1].expand(6, -1), torch.zeros(4, 12), torch.ones(4, 12)):
        model = small_model(kind="rhvae")
        objective = model.objective(data.clone(), generator(0))
        objective.elbo.backward()
        assert objective.elbo.isfinite()
        assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in model.parameters())
