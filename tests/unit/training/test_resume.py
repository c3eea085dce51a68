"""Interrupted training goes on to the very same weights; files that cannot be used are refused."""

import json
import pickle
import struct
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from scripted import ScriptedModel, from_list
from torch import Tensor, nn

from riemaug.errors import InvalidInputError
from riemaug.models import Condition, LatentModel, ModelConfig, Objective, build_model
from riemaug.random import Stream
from riemaug.training import EpochReport, History, Trainer, TrainingConfig
from riemaug.training.state import TrainingState

CONFIG = ModelConfig(kind="vae", data_dim=5, encoder_hidden=(6,), decoder_hidden=(6,), metric_hidden=(4,))


def rows(num: int = 14) -> Tensor:
    return torch.rand(num, 5, generator=torch.Generator().manual_seed(0))


def settings(batch_size: int, **changes: object) -> TrainingConfig:
    values: dict = {"max_epochs": 30, "patience": 100, "learning_rate": 1e-2, "batch_size": batch_size}
    return TrainingConfig(**(values | changes))


def trainer_of(
    batch_size: int,
    path: Path | None = None,
    on_epoch: Callable[[EpochReport], None] | None = None,
    config: ModelConfig = CONFIG,
    **changes: object,
) -> Trainer:
    training = settings(batch_size, **changes)
    return Trainer(build_model(config, 0), rows(), training, Stream(0), path, on_epoch)


def stop_after(epoch: int) -> Callable[[EpochReport], None]:
    def interrupt(report: EpochReport) -> None:
        if report.epoch == epoch:
            raise KeyboardInterrupt

    return interrupt


def outcome(trainer: Trainer) -> tuple[dict[str, Tensor], dict]:
    history = asdict(trainer.fit())
    del history["seconds"]
    return trainer.model.state_dict(), history


def assert_same(first: tuple[dict[str, Tensor], dict], second: tuple[dict[str, Tensor], dict]) -> None:
    assert first[1] == second[1]
    for name, weight in first[0].items():
        assert torch.equal(weight, second[0][name]), name


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.safetensors"


OPTIONS: dict[str, dict] = {
    "full-batch": {"batch_size": 20},
    "batches": {"batch_size": 5},
    "validation": {"batch_size": 20, "monitor": "validation", "validation_draws": 1},
    "validation-batches": {"batch_size": 5, "monitor": "validation", "validation_draws": 2},
    "warm-up": {"batch_size": 20, "warmup_epochs": 15},
    "warm-up-batches-bfloat16": {"batch_size": 5, "warmup_epochs": 15, "precision": "bfloat16"},
}


_CASES = [
    pytest.param(options, id=name, marks=[pytest.mark.slow] if "-batches" in name else [])
    for name, options in OPTIONS.items()
]


@pytest.mark.parametrize("options", _CASES)
def test_resumed_training_equals_uninterrupted_training(path: Path, options: dict) -> None:
    config = CONFIG.model_copy(update={"kind": "rhvae", "num_leapfrog_steps": 1})
    whole = outcome(trainer_of(config=config, **options))
    with pytest.raises(KeyboardInterrupt):
        trainer_of(path=path, on_epoch=stop_after(11), config=config, **options).fit()
    assert TrainingState.load(path).history.num_epochs == 11
    # and once more, so that a state written by a resumed run is good as well
    with pytest.raises(KeyboardInterrupt):
        trainer_of(path=path, on_epoch=stop_after(23), config=config, **options).fit()
    heard: list[int] = []
    rest = trainer_of(path=path, on_epoch=lambda report: heard.append(report.epoch), config=config, **options)
    assert_same(outcome(rest), whole)
    assert heard == list(range(24, 31))


class NoisyEncoder(nn.Module):
    """A user's own, with running means to carry on and noise that no generator is passed to."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(5, 6), nn.BatchNorm1d(6), nn.Dropout(0.3))
        self.mean, self.log_variance = nn.Linear(6, 2), nn.Linear(6, 2)

    def forward(self, data: Tensor) -> tuple[Tensor, Tensor]:
        read = self.layers(data)
        return self.mean(read), self.log_variance(read)


@pytest.mark.slow
@pytest.mark.parametrize("monitor", ["training", "validation"])
def test_networks_with_running_means_and_dropout_resume_too(path: Path, monitor: str) -> None:
    config = CONFIG.model_copy(update={"kind": "rhvae", "network": "custom", "num_leapfrog_steps": 1})
    encoder, decoder = NoisyEncoder(), nn.Linear(2, 5)

    def trainer(state: Path | None, on_epoch: Callable[[EpochReport], None] | None = None) -> Trainer:
        model = build_model(config, 0, encoder, decoder)
        training = settings(20, monitor=monitor)
        return Trainer(model, rows(), training, Stream(0), state, on_epoch)

    before = torch.get_rng_state()
    whole = outcome(trainer(None))
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(3)
    with pytest.raises(KeyboardInterrupt):
        trainer(path, stop_after(11)).fit()
    assert_same(outcome(trainer(path)), whole)
    assert any("running_mean" in name and bool(value.any()) for name, value in whole[0].items())


def test_a_rollback_takes_running_means_back_too() -> None:
    model = ScriptedModel(from_list([-5, -3, float("nan"), -2]), 1.0)
    model.register_buffer("running", torch.zeros(1))
    seen: list[float] = []
    scripted = model.objective

    def objective(*arguments: object) -> Objective:
        seen.append(float(model.get_buffer("running")))
        model.get_buffer("running").add_(1.0)
        return scripted(*arguments)

    model.objective = objective
    Trainer(model, rows()[:, :3], TrainingConfig(max_epochs=3), Stream(0)).fit()
    # the second call was the best one when the third was not finite: the fourth begins after the second
    assert seen[:4] == [0.0, 1.0, 2.0, 2.0]


def test_training_that_went_worse_than_its_start_resumes_too(path: Path) -> None:
    script = from_list([-9, -5, -1e9, -1e9, -1e9, -1e9, -1e9, -4, -6])
    config = TrainingConfig(max_epochs=10)
    plain = ScriptedModel(script, 1.0)
    whole = Trainer(plain, rows()[:, :3], config, Stream(0)).fit()
    first = ScriptedModel(script, 1.0)
    with pytest.raises(KeyboardInterrupt):
        Trainer(first, rows()[:, :3], config, Stream(0), path, stop_after(5)).fit()
    rest = ScriptedModel(lambda call: script(call + 5), 1.0)
    history = Trainer(rest, rows()[:, :3], config, Stream(0), path).fit()
    assert history.rollback_epochs == whole.rollback_epochs == [7]
    assert rest.first_weight() == plain.first_weight()


def test_an_interrupt_leaves_the_best_weights_in_the_model(path: Path) -> None:
    model = ScriptedModel(from_list([-5, -3, -4, -6]), 1.0)
    with pytest.raises(KeyboardInterrupt):
        Trainer(model, rows()[:, :3], TrainingConfig(), Stream(0), path, stop_after(4)).fit()
    assert model.first_weight() == model.seen[1]
    assert not model.training


class InterruptedModel(ScriptedModel):
    """Real objectives of another model; Ctrl-C arrives in the middle of its n-th."""

    def __init__(self, inner: LatentModel, stop_at: int) -> None:
        super().__init__(lambda call: 0.0)
        self.encoder, self.decoder = inner.encoder, inner.decoder
        self.inner_objective, self.stop_at = inner.objective, stop_at

    def objective(
        self, data: Tensor, generator: torch.Generator, condition: Condition | None = None
    ) -> Objective:
        self.batches.append(data)
        if self.calls == self.stop_at:
            raise KeyboardInterrupt
        return self.inner_objective(data, generator, condition)


def test_an_interrupt_within_an_epoch_does_not_do_it_twice(path: Path) -> None:
    # three batches an epoch; the second batch of epoch 8 is interrupted, after the first moved the weights
    whole = outcome(trainer_of(5))
    with pytest.raises(KeyboardInterrupt):
        trainer_of(5, path, stop_after(7)).fit()
    model = InterruptedModel(build_model(CONFIG, 0), stop_at=2)
    with pytest.raises(KeyboardInterrupt):
        Trainer(model, rows(), settings(5), Stream(0), path).fit()
    assert TrainingState.load(path).history.num_epochs == 7
    assert_same(outcome(trainer_of(5, path)), whole)


def test_an_interrupt_before_an_epoch_moved_the_weights_loses_nothing(path: Path) -> None:
    whole = outcome(trainer_of(20))
    model = InterruptedModel(build_model(CONFIG, 0), stop_at=8)
    with pytest.raises(KeyboardInterrupt):
        Trainer(model, rows(), settings(20), Stream(0), path).fit()
    assert TrainingState.load(path).history.num_epochs == 7
    assert_same(outcome(trainer_of(20, path)), whole)


def test_checkpoints_written_on_the_way_are_good_too(path: Path) -> None:
    whole = outcome(trainer_of(5))
    config = settings(5, checkpoint_seconds=1e-9)

    class Crash(Exception):
        pass

    def crash(report: EpochReport) -> None:
        if report.epoch == 20:
            raise Crash

    with pytest.raises(Crash):
        Trainer(build_model(CONFIG, 0), rows(), config, Stream(0), path, crash).fit()
    assert 1 <= TrainingState.load(path).history.num_epochs < 20
    assert_same(outcome(trainer_of(5, path)), whole)


def test_rollbacks_and_the_learning_rate_survive_the_interrupt(path: Path) -> None:
    script = from_list([-5, float("nan"), -4, -3, float("nan"), -2, -1, -1.5])
    config = TrainingConfig(max_epochs=9, patience=3)

    def run(model: ScriptedModel, on_epoch: Callable[[EpochReport], None] | None, file: Path | None):
        trainer = Trainer(model, torch.rand(4, 3), config, Stream(0), file, on_epoch)
        return trainer, trainer.fit()

    plain = ScriptedModel(script)
    whole_trainer, whole = run(plain, None, None)
    first = ScriptedModel(script)
    with pytest.raises(KeyboardInterrupt):
        run(first, stop_after(3), path)
    rest = ScriptedModel(lambda call: script(call + first.calls))
    trainer, history = run(rest, None, path)
    assert history.rollbacks == whole.rollbacks == 2
    assert history.elbo == whole.elbo
    assert history.stop_reason == whole.stop_reason
    assert trainer.learning_rate == whole_trainer.learning_rate == 2.5e-4
    assert rest.first_weight() == plain.first_weight()


def test_a_finished_state_is_not_trained_further(path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        trainer_of(20, path, stop_after(30)).fit()
    heard: list[int] = []
    history = trainer_of(20, path, lambda report: heard.append(report.epoch)).fit()
    assert heard == []
    assert history.num_epochs == 30


def test_without_a_path_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        trainer_of(20, None, stop_after(2)).fit()
    assert list(tmp_path.iterdir()) == []


def test_histories_survive_the_round_trip() -> None:
    history = History([1.0, 2.0], [3.0, 4.0], [0, 1], 1, 2.0, 3, "why", 4.5, [5.0, 6.0], [1, 1, 2])
    assert History.from_dict(json.loads(json.dumps(history.to_dict()))) == history


# files that cannot be used


@pytest.fixture
def written(path: Path) -> Path:
    with pytest.raises(KeyboardInterrupt):
        trainer_of(20, path, stop_after(3)).fit()
    return path


def with_header(path: Path, change: Callable[[dict], object]) -> None:
    """Rewrite the JSON that the state's file carries in its metadata."""
    content = path.read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    head = json.loads(content[8 : 8 + size])
    ours = json.loads(head["__metadata__"]["riemaug"])
    changed = change(ours)
    head["__metadata__"]["riemaug"] = json.dumps(ours if changed is None else changed)
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + size :])


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def noise(path: Path) -> None:
    path.write_bytes(bytes(range(256)) * 4)


def pickled(path: Path) -> None:
    path.write_bytes(pickle.dumps({"weights": [1.0]}))


@pytest.mark.parametrize(
    "damage",
    [
        truncate,
        empty,
        noise,
        pickled,
        lambda path: with_header(path, lambda header: {}),
        lambda path: with_header(path, lambda header: []),
        lambda path: with_header(path, lambda header: header.pop("history") and None),
        lambda path: with_header(path, lambda header: header["history"].update(unknown=1)),
        lambda path: with_header(path, lambda header: header.update(history=None)),
        lambda path: with_header(path, lambda header: header.update(learning_rate="fast")),
        lambda path: with_header(path, lambda header: header.update(format=3)),
    ],
    ids=[
        "truncated",
        "empty",
        "noise",
        "pickle",
        "no-fields",
        "not-a-mapping",
        "no-history",
        "unknown-history",
        "null-history",
        "learning-rate",
        "later-format",
    ],
)
def test_damaged_states_are_refused_in_one_line(written: Path, damage: Callable[[Path], None]) -> None:
    damage(written)
    with pytest.raises(InvalidInputError, match="delete it to train anew") as caught:
        trainer_of(20, written).fit()
    assert "\n" not in str(caught.value)


def test_the_helper_leaves_a_state_usable(written: Path) -> None:
    with_header(written, lambda header: None)
    assert trainer_of(20, written).fit().num_epochs == 30


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"learning_rate": 1e-3}, "learning_rate"),
        ({"monitor": "validation", "warmup_epochs": 3}, "monitor, warmup_epochs"),
        ({"precision": "bfloat16"}, "precision"),
    ],
)
def test_states_of_other_settings_are_refused(written: Path, changes: dict, named: str) -> None:
    with pytest.raises(InvalidInputError, match=f"trained with another {named}") as caught:
        trainer_of(20, written, **changes).fit()
    assert "\n" not in str(caught.value)


def test_when_to_stop_may_change(written: Path) -> None:
    assert trainer_of(20, written, max_epochs=35, patience=90, max_rollbacks=3).fit().num_epochs == 35


@pytest.mark.parametrize("changes", [{"encoder_hidden": (7,)}, {"latent_dim": 3}, {"kind": "rhvae"}])
def test_states_of_another_model_are_refused(written: Path, changes: dict) -> None:
    model = build_model(CONFIG.model_copy(update=changes), 0)
    trainer = Trainer(model, rows(), TrainingConfig(max_epochs=30), Stream(0), written)
    with pytest.raises(InvalidInputError, match="another model"):
        trainer.fit()
