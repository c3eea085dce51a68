"""Training that goes wrong without a NaN, gives up, is warmed up, or computes in half precision."""

import gc
import math

import pytest
import torch
from scripted import ScriptedModel, from_list
from torch import Tensor

from riemaug.errors import InvalidInputError, TrainingError
from riemaug.models import Condition, ModelConfig, Objective, build_model
from riemaug.models.config import LikelihoodName, ModelKind
from riemaug.models.likelihoods import LIKELIHOODS
from riemaug.random import Stream
from riemaug.training import Trainer, TrainingConfig
from riemaug.training.divergence import WORSE_EPOCHS, blank_elbo, elbo_floor
from riemaug.training.optimization import Optimization
from riemaug.training.precision import Precision


def rows(num: int = 6, width: int = 3) -> Tensor:
    return torch.rand(num, width, generator=torch.Generator().manual_seed(0))


def scripted(values: list[float], **settings: object) -> tuple[ScriptedModel, Trainer]:
    model = ScriptedModel(from_list(values), 1.0)
    config: dict = {"max_epochs": 50, "patience": 8}
    return model, Trainer(model, rows(), TrainingConfig(**(config | settings)), Stream(1))


# objectives that are finite and worse than at the start


def test_an_elbo_below_the_first_for_some_epochs_goes_back_to_the_best_weights() -> None:
    values = [-100.0, -50.0, *[-1e9] * WORSE_EPOCHS, -40.0, -60.0]
    model, trainer = scripted(values)
    history = trainer.fit()
    assert history.rollbacks == 1
    assert history.rollback_epochs == [2 + WORSE_EPOCHS]
    assert trainer.learning_rate == 5e-4
    # the call after the last bad one sees the weights that gave -50
    assert model.seen[2 + WORSE_EPOCHS] == model.seen[1]
    assert history.best_epoch == 2 + WORSE_EPOCHS
    assert model.first_weight() == model.seen[history.best_epoch]


@pytest.mark.parametrize(
    "values",
    [
        [-100.0, -50.0, *[-1e9] * (WORSE_EPOCHS - 1), -60.0],
        [-100.0, *[-105.0] * 9],
        [-100.0, -50.0, *[-99.0] * 9],
    ],
    ids=["too-few", "never-better-but-near", "still-better-than-first"],
)
def test_other_bad_epochs_are_left_to_the_patience(values: list[float]) -> None:
    _, trainer = scripted(values)
    history = trainer.fit()
    assert history.rollbacks == 0
    assert history.stop_reason == "no better training ELBO for 8 epochs"


def test_far_below_the_start_it_goes_back_though_nothing_was_better() -> None:
    values = [-100.0, *[-1e9] * (2 * WORSE_EPOCHS), -90.0, -80.0]
    # rollbacks have a patience of their own
    model, trainer = scripted(values, patience=WORSE_EPOCHS + 1, max_epochs=2 * WORSE_EPOCHS + 3)
    history = trainer.fit()
    assert history.rollback_epochs == [1 + WORSE_EPOCHS, 1 + 2 * WORSE_EPOCHS]
    assert history.stop_reason == f"reached max_epochs = {2 * WORSE_EPOCHS + 3}"
    assert model.seen[1 + WORSE_EPOCHS] == model.seen[1 + 2 * WORSE_EPOCHS] == model.seen[0]
    assert history.best_elbo == -80.0


@pytest.mark.parametrize("settings", [{"max_epochs": 3}, {"max_epochs": 6}, {"patience": 2}, {"patience": 6}])
def test_weights_that_never_got_better_than_the_first_are_an_error(settings: dict) -> None:
    _, trainer = scripted([-100.0, *[-1e9] * 99], **({"max_epochs": 100} | settings))
    with pytest.raises(TrainingError, match="the ELBO must grow, .*smaller learning rate") as caught:
        trainer.fit()
    assert "\n" not in str(caught.value)


def test_a_first_epoch_that_ends_far_below_its_start_is_never_kept() -> None:
    # the first batch is scored before any step: the epoch's mean is that of weights long gone
    model = ScriptedModel(from_list([-3.0, -1e6, *[-1e5] * (2 * WORSE_EPOCHS - 2), -4.0]), 1.0)
    config = TrainingConfig(max_epochs=WORSE_EPOCHS + 2, batch_size=3)
    history = Trainer(model, rows(6), config, Stream(1)).fit()
    assert history.start_elbo == -3.0
    assert history.rollback_epochs == [WORSE_EPOCHS]
    assert model.seen[2 * WORSE_EPOCHS] == model.seen[0]
    assert history.best_elbo == -4.0


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_the_floor_is_a_nat_a_feature_below_what_networks_begin_with(likelihood: LikelihoodName) -> None:
    config = ModelConfig(kind="vae", data_dim=50, likelihood=likelihood)
    data = rows(20, 50)
    blank = blank_elbo(config, data)
    begun = float(build_model(config, 0).objective(data, torch.Generator().manual_seed(0)).elbo.detach())
    assert begun == pytest.approx(blank, abs=20.0)
    assert elbo_floor(blank, begun, 50) == min(blank, begun) - 50.0
    assert elbo_floor(-3.0, None, 4) == -13.0
    # networks of a user's own may begin anywhere
    assert elbo_floor(-3.0, -1e4, 4) == -10_010.0


def test_bad_epochs_before_a_rollback_do_not_count_after_it() -> None:
    values = [-100.0, -50.0, *[-1e9] * (2 * WORSE_EPOCHS), -40.0]
    _, trainer = scripted(values, patience=100, max_epochs=16)
    assert trainer.fit().rollback_epochs == [2 + WORSE_EPOCHS, 2 + 2 * WORSE_EPOCHS]


def test_a_run_that_was_good_once_ends_with_its_best_weights() -> None:
    model, trainer = scripted([-5.0, -3.0, math.nan], max_rollbacks=2)
    history = trainer.fit()
    assert history.stop_reason == "diverged 3 times (the last time the objective was not finite)"
    assert history.elbo == [-5.0, -3.0]
    assert model.first_weight() == model.seen[1]


def test_weights_and_moments_that_are_not_finite_are_replaced() -> None:
    model, trainer = scripted([-5.0, -3.0, -4.0, -2.0, -1.0], max_epochs=4)
    plain = model.objective

    def spoilt(data: Tensor, generator: torch.Generator, condition: Condition | None = None) -> Objective:
        if model.calls == 2:
            with torch.no_grad():
                model.encoder.mean.weight.fill_(math.nan)
            for state in trainer.optimization.adam.state.values():
                state["exp_avg_sq"].fill_(math.inf)
        objective = plain(data, generator, condition)
        total = model.encoder.mean.weight.sum()
        return Objective(objective.log_likelihood + 0.0 * total, objective.divergence)

    model.objective = spoilt
    history = trainer.fit()
    assert history.rollbacks == 1
    assert history.elbo == [-5.0, -3.0, -2.0, -1.0]
    assert all(weight.isfinite().all() for weight in model.parameters())
    for state in trainer.optimization.adam.state.values():
        assert all(moment.isfinite().all() for moment in state.values())


def test_with_batches_a_bad_batch_undoes_the_whole_epoch() -> None:
    model = ScriptedModel(from_list([-5.0, -5.0, -4.0, math.nan, -3.0, -3.0]), 1.0)
    config = TrainingConfig(max_epochs=2, batch_size=4)
    history = Trainer(model, rows(8), config, Stream(1)).fit()
    assert history.elbo == [-5.0, -3.0]
    # the epoch that failed had begun after two steps; what is kept is what the first one began with
    assert model.seen[4] == model.seen[0]


# warm-up


def test_the_divergence_counts_more_and_more_and_no_warm_up_epoch_is_the_best() -> None:
    weights: list[float] = []

    class Watched(Objective):
        def loss(self, divergence_weight: float = 1.0) -> Tensor:
            weights.append(divergence_weight)
            return super().loss(divergence_weight)

    model, trainer = scripted([-1.0, -2.0, -9.0, -8.0, -7.0, -8.0], patience=2, warmup_epochs=4)
    plain = model.objective

    def watched(data: Tensor, generator: torch.Generator, condition: Condition | None = None) -> Objective:
        objective = plain(data, generator, condition)
        return Watched(objective.log_likelihood, objective.divergence, objective.failed_steps)

    model.objective = watched
    heard = []
    trainer.on_epoch = heard.append
    history = trainer.fit()
    assert weights == [0.0, 0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    assert history.elbo == [-1.0, -2.0, -9.0, -8.0, -7.0, -8.0, -8.0]
    assert (history.best_epoch, history.best_elbo) == (4, -7.0)
    assert model.first_weight() == model.seen[4]
    assert [report.divergence_weight for report in heard] == weights
    assert heard[0].best_elbo == -math.inf


def test_a_divergence_in_the_warm_up_goes_back_to_the_last_good_weights() -> None:
    model, trainer = scripted([-1.0, -2.0, -9.0, math.nan, -8.0, -7.0], warmup_epochs=5, max_epochs=6)
    trainer.fit()
    assert model.seen[4] == model.seen[2]


def test_the_warm_up_must_end() -> None:
    with pytest.raises(ValueError, match="warmup_epochs must be below max_epochs"):
        TrainingConfig(max_epochs=5, warmup_epochs=5)


# precision


def test_bfloat16_trains_to_about_the_same_weights_in_float32_memory() -> None:
    config = ModelConfig(data_dim=30, encoder_hidden=(16,), decoder_hidden=(16,), metric_hidden=(8,))
    data = (rows(24, 30) > 0.5).float()
    elbos = {}
    for precision in ("float32", "bfloat16"):
        model = build_model(config, 0)
        seen = set()
        model.encoder.register_forward_hook(lambda m, a, out, seen=seen: seen.add(out[0].dtype))
        settings = TrainingConfig(learning_rate=1e-2, max_epochs=40, precision=precision)
        history = Trainer(model, data, settings, Stream(0)).fit()
        assert seen == {getattr(torch, precision)}
        assert {weight.dtype for weight in model.parameters()} == {torch.float32}
        assert history.rollbacks == 0
        assert history.best_elbo > history.elbo[0] + 0.5
        elbos[precision] = history.best_elbo
    assert elbos["bfloat16"] == pytest.approx(elbos["float32"], abs=0.3)


@pytest.mark.parametrize("kind", ["vae", "vamp", "hvae", "rhvae"])
def test_in_half_precision_the_objective_is_float32_and_not_rounded_to_eight_bits(kind: ModelKind) -> None:
    sizes: dict = {"encoder_hidden": (16,), "decoder_hidden": (16,), "metric_hidden": (8,)}
    model = build_model(ModelConfig(kind=kind, data_dim=30, **sizes), 0)
    data, posteriors = rows(24, 30), []
    with Precision("bfloat16", torch.device("cpu")).networks():
        posteriors.append(model.encode(data))
        objective = model.objective(data, torch.Generator().manual_seed(0))
        decoded = model.decode(posteriors[0].mean)
        model.follows_flow = False
        plain = model.objective(data, torch.Generator().manual_seed(0))
    posteriors.append(model.encode(data))
    for values in (objective.log_likelihood, objective.divergence, plain.log_likelihood, plain.divergence):
        assert values.dtype == torch.float32
        # half precision has but a few values there
        assert len(values.detach().unique()) == 24
    assert decoded.dtype == posteriors[0].mean.dtype == posteriors[0].log_variance.dtype == torch.float32
    half, single = (posterior.kl_to_prior() for posterior in posteriors)
    assert torch.allclose(half, single, rtol=0.05, atol=1e-3)
    objective.loss().backward()
    assert all(weight.grad is None or weight.grad.dtype == torch.float32 for weight in model.parameters())


@pytest.mark.slow
def test_rollbacks_of_float16_leave_nothing_of_the_steps_before_and_keep_the_scale() -> None:
    # float16 itself needs CUDA
    model, device = ScriptedModel(from_list([math.nan]), 1.0), torch.device("cpu")
    precision = Precision("float32", device)
    precision.scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    optimization = Optimization(model, TrainingConfig(), precision)
    for rollback in range(1, 9):
        loss = model.objective(rows(), torch.Generator()).loss()
        optimization.backward(loss)
        optimization.restart(0.5**rollback)
        gc.collect()
    model.script = float
    before = model.first_weight()
    optimization.backward(model.objective(rows(), torch.Generator()).loss())
    optimization.step()
    assert model.first_weight() != before
    assert precision.state()["scale"] == 8.0


def test_float16_is_refused_without_cuda() -> None:
    model = ScriptedModel(float)
    with pytest.raises(InvalidInputError, match="float16 needs a CUDA device.*cpu.*use bfloat16") as caught:
        Trainer(model, rows(), TrainingConfig(precision="float16"), Stream(0))
    assert "\n" not in str(caught.value)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("batch_size", [200, 8])
def test_every_precision_trains_on_cuda(precision: str, batch_size: int) -> None:
    config = ModelConfig(data_dim=30, encoder_hidden=(16,), decoder_hidden=(16,), metric_hidden=(8,))
    data = (rows(24, 30) > 0.5).float().cuda()
    settings = TrainingConfig(learning_rate=1e-2, max_epochs=60, precision=precision, batch_size=batch_size)
    history = Trainer(build_model(config, 0).cuda(), data, settings, Stream(0)).fit()
    assert history.rollbacks == 0
    assert history.best_elbo > history.elbo[0] + 0.5
