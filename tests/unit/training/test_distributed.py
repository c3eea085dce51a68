"""Two processes that share every batch train the very model that one process trains."""

import os
import signal
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from riemaug.errors import InvalidInputError, TrainingError
from riemaug.models import Condition, LatentModel, ModelConfig, build_model, class_condition
from riemaug.random import Stream
from riemaug.training import EpochReport, History, Trainer, TrainingConfig
from riemaug.training.distributed import DistributedFit

pytest.importorskip("lightning_fabric", reason="needs the extra 'distributed'")

NUM = 11
"""Does not divide by two: the processes have batches of different sizes."""

CASES: dict[str, tuple[dict, dict]] = {
    "rhvae": ({"kind": "rhvae"}, {}),
    "rhvae-batches-of-classes": ({"kind": "rhvae", "num_conditions": 2}, {"batch_size": 6}),
    "vae-validation": ({"kind": "vae"}, {"monitor": "validation", "warmup_epochs": 2}),
}


def model_of(changes: dict) -> LatentModel:
    config = ModelConfig(data_dim=5, encoder_hidden=(6,), decoder_hidden=(6,), metric_hidden=(4,), **changes)
    # in float64, in which sums in another order stay equal for many steps
    return build_model(config, 0).double()


def samples(with_classes: bool) -> tuple[Tensor, Condition | None]:
    data = torch.rand(NUM, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    labels = torch.arange(NUM) % 2
    return data, class_condition(labels, 2, dtype=torch.float64) if with_classes else None


def stop_after_four(report: EpochReport) -> None:
    if report.epoch == 4:
        raise KeyboardInterrupt


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_two_processes_give_the_weights_of_one(case: str, tmp_path: Path) -> None:
    model_changes, settings = CASES[case]
    config = TrainingConfig(max_epochs=8, learning_rate=1e-2, **settings)
    data, condition = samples("num_conditions" in model_changes)
    alone = model_of(model_changes)
    expected: History = Trainer(alone, data, config, Stream(3), condition=condition).fit()
    together = model_of(model_changes)
    # one process does half of the epochs, two go on from its state
    state = tmp_path / "state.safetensors"
    begun = Trainer(model_of(model_changes), data, config, Stream(3), state, stop_after_four, condition)
    with pytest.raises(KeyboardInterrupt):
        begun.fit()
    history = DistributedFit(together, data, config, Stream(3), state, condition).run(2, "cpu")
    assert history.num_epochs == 8
    assert history.elbo == pytest.approx(expected.elbo, rel=1e-9)
    assert history.reconstruction == pytest.approx(expected.reconstruction, rel=1e-9)
    assert history.validation == pytest.approx(expected.validation, rel=1e-9)
    assert history.failed_steps == expected.failed_steps
    assert history.best_epoch == expected.best_epoch
    # the weights have moved by far more than they differ
    start = dict(model_of(model_changes).named_parameters())
    for (name, weight), (_, other) in zip(together.named_parameters(), alone.named_parameters(), strict=True):
        torch.testing.assert_close(weight, other, rtol=0, atol=1e-8)
        assert (weight - start[name]).abs().max() > 1e-4
    assert not together.training


@pytest.mark.slow
def test_what_a_process_raises_is_a_training_error_in_one_line() -> None:
    data, _ = samples(False)
    spoilt = data.clone()
    spoilt[0] = torch.nan
    fit = DistributedFit(model_of({"kind": "vae"}), spoilt, TrainingConfig(max_rollbacks=2), Stream(0))
    with pytest.raises(TrainingError, match="must stay finite, it did not 3 times") as caught:
        fit.run(2, "cpu")
    assert "\n" not in str(caught.value)


class KilledAtOnce:
    """A callback that ends its process as a lack of memory would."""

    def on_start(self, *_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def on_epoch(self, *_: object) -> None: ...

    def on_rollback(self, *_: object) -> None: ...

    def on_end(self, *_: object) -> None: ...


@pytest.mark.slow
def test_a_process_that_is_killed_is_told_in_one_line() -> None:
    data, _ = samples(False)
    fit = DistributedFit(
        model_of({"kind": "vae"}), data, TrainingConfig(), Stream(0), callbacks=(KilledAtOnce(),)
    )
    with pytest.raises(TrainingError, match="SIGKILL") as caught:
        fit.run(2, "cpu")
    assert "\n" not in str(caught.value)


def test_batches_smaller_than_the_number_of_devices_are_refused() -> None:
    data, _ = samples(False)
    fit = DistributedFit(model_of({}), data, TrainingConfig(batch_size=3), Stream(0))
    with pytest.raises(InvalidInputError, match="4 devices share batches of 3; use fewer") as caught:
        fit.run(4, "cpu")
    assert "\n" not in str(caught.value)


def test_a_missing_extra_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lightning_fabric", None)
    data, _ = samples(False)
    fit = DistributedFit(model_of({}), data, TrainingConfig(), Stream(0))
    with pytest.raises(InvalidInputError, match=r"pip install 'riemaug\[distributed\]'") as caught:
        fit.run(2, "cpu")
    assert "\n" not in str(caught.value)
