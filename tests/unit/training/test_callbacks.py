"""Callbacks hear everything, trackers write it, and a tracker that fails ends no training."""

import math
import os
import sys
import warnings
from pathlib import Path

import pytest
import torch
from scripted import ScriptedModel, from_list
from torch import Tensor

from riemaug.errors import InvalidInputError, TrainingError
from riemaug.random import Stream
from riemaug.training import Callback, History, MLflowCallback, TensorBoardCallback, Trainer, TrainingConfig
from riemaug.training.callbacks import Tracker

VALUES = [-5.0, -4.0, math.nan, -3.0, -3.5]


def rows() -> Tensor:
    return torch.rand(6, 3, generator=torch.Generator().manual_seed(0))


def trainer_with(
    *callbacks: Callback, path: Path | None = None, values: list[float] = VALUES, epochs: int = 4
) -> Trainer:
    config = TrainingConfig(max_epochs=epochs)
    return Trainer(ScriptedModel(from_list(values)), rows(), config, Stream(0), path, callbacks=callbacks)


class Recorder:
    def __init__(self) -> None:
        self.events: list[tuple[str, object]] = []

    def on_start(self, config: TrainingConfig, history: History) -> None:
        self.events.append(("start", history.num_epochs))

    def on_epoch(self, report) -> None:
        self.events.append(("epoch", report.elbo))

    def on_rollback(self, report) -> None:
        self.events.append(("rollback", (report.epoch, report.rollbacks, report.learning_rate)))

    def on_end(self, history: History) -> None:
        self.events.append(("end", history.stop_reason))


def test_callbacks_hear_all_events_in_their_order() -> None:
    recorder = Recorder()
    assert isinstance(recorder, Callback)
    trainer_with(recorder).fit()
    assert recorder.events == [
        ("start", 0),
        ("epoch", -5.0),
        ("epoch", -4.0),
        ("rollback", (2, 1, 5e-4)),
        ("epoch", -3.0),
        ("epoch", -3.5),
        ("end", "reached max_epochs = 4"),
    ]


def test_what_a_callback_of_the_users_raises_is_seen() -> None:
    class Broken(Recorder):
        def on_epoch(self, report) -> None:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        trainer_with(Broken()).fit()


@pytest.mark.parametrize(
    ("error", "reason"),
    [(KeyboardInterrupt(), "interrupted"), (OSError("disk\nfull"), "failed: disk full")],
    ids=["interrupt", "error"],
)
@pytest.mark.parametrize("event", ["on_start", "on_epoch"])
def test_callbacks_hear_of_the_end_that_an_interrupt_or_error_makes(
    error: BaseException, reason: str, event: str
) -> None:
    def fails(*arguments: object) -> None:
        raise error

    recorder, broken = Recorder(), Recorder()
    setattr(broken, event, fails)
    trainer = trainer_with(recorder, broken)
    with pytest.raises(type(error)):
        trainer.fit()
    assert recorder.events[-1] == broken.events[-1] == ("end", reason)
    # the training itself has no such end: it may go on
    assert trainer.history.stop_reason == ""


def test_callbacks_hear_of_a_training_that_gives_up() -> None:
    recorder = Recorder()
    with pytest.raises(TrainingError):
        trainer_with(recorder, values=[math.nan]).fit()
    event, reason = recorder.events[-1]
    assert event == "end"
    assert str(reason).startswith("failed: the training objective must stay finite")


class BrokenTracker(Tracker):
    def __init__(self, fails_in: str) -> None:
        super().__init__()
        self.fails_in, self.called = fails_in, []

    def _call(self, name: str) -> None:
        self.called.append(name)
        if name == self.fails_in:
            raise ConnectionError("no route\nto host")

    def open(self, config: TrainingConfig, first_epoch: int) -> None:
        self._call("open")

    def write(self, values: dict[str, float], epoch: int) -> None:
        self._call("write")

    def close(self, history: History) -> None:
        self._call("close")


@pytest.mark.parametrize(("fails_in", "called"), [("open", 1), ("write", 2), ("close", 7), ("nothing", 7)])
def test_a_tracker_that_fails_warns_once_and_training_goes_on(fails_in: str, called: int) -> None:
    tracker = BrokenTracker(fails_in)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        history = trainer_with(tracker).fit()
    assert history.num_epochs == 4
    assert len(tracker.called) == called
    messages = [str(warning.message) for warning in caught]
    expected = "BrokenTracker failed and is switched off, training goes on: no route to host"
    assert messages == ([] if fails_in == "nothing" else [expected])


def test_a_tracker_lets_an_interrupt_pass() -> None:
    class Interrupted(BrokenTracker):
        def _call(self, name: str) -> None:
            if name != "open":
                self.called.append(name)
            raise KeyboardInterrupt

    tracker = Interrupted("open")
    with pytest.raises(KeyboardInterrupt):
        trainer_with(tracker).fit()
    # it never began, so it has nothing to close
    assert tracker.called == []


@pytest.mark.parametrize(
    ("module", "make"),
    [
        ("torch.utils.tensorboard", lambda: TensorBoardCallback("runs")),
        ("mlflow.tracking", MLflowCallback),
    ],
)
def test_a_missing_extra_is_said_in_one_line(module: str, make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(InvalidInputError, match=r"pip install 'riemaug\[tracking\]'") as caught:
        make()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("chosen", "then"), [(None, "true"), ("false", "false")])
def test_mlflow_tells_its_makers_nothing_unless_asked_to(
    monkeypatch: pytest.MonkeyPatch, chosen: str | None, then: str
) -> None:
    monkeypatch.setitem(sys.modules, "mlflow.tracking", None)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", chosen or "")
    if chosen is None:
        monkeypatch.delenv("MLFLOW_DISABLE_TELEMETRY")
    with pytest.raises(InvalidInputError):
        MLflowCallback()
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == then


def curves(folder: Path) -> dict[str, dict[int, float]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder)).Reload()
    return {tag: {e.step: e.value for e in events.Scalars(tag)} for tag in events.Tags()["scalars"]}


def _texts(file: Path) -> list[str]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    return EventAccumulator(str(file)).Reload().Tags()["tensors"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard_gets_the_curves_and_goes_on_in_them(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    folder, state = tmp_path / "board", tmp_path / "state.safetensors"

    class Stop(Recorder):
        def on_epoch(self, report) -> None:
            if report.epoch == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trainer_with(TensorBoardCallback(folder), Stop(), path=state).fit()
    trainer_with(TensorBoardCallback(folder), path=state, values=[math.nan, -3.0, -3.5]).fit()
    written = curves(folder)
    assert written["training/elbo"] == pytest.approx({1: -5.0, 2: -4.0, 3: -3.0, 4: -3.5})
    assert written["training/rollbacks"] == {2: 1.0}
    assert written["training/learning_rate"][4] == pytest.approx(5e-4)
    assert set(written) >= {"training/reconstruction", "training/divergence", "training/failed_steps"}
    # both files were closed with the reason
    assert len(list(folder.glob("events*"))) == 2
    assert "stopped/text_summary" in _texts(next(iter(sorted(folder.glob("events*")))))


@pytest.mark.filterwarnings("ignore")
def test_mlflow_runs_that_are_broken_off_end_and_may_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=(tmp_path / "runs").as_uri())
    seen: list[str] = []

    def status() -> str:
        assert callback.run_id is not None
        return client.get_run(callback.run_id).info.status

    class Stop(Recorder):
        def on_epoch(self, report) -> None:
            seen.append(status())
            if report.epoch == 2:
                raise KeyboardInterrupt

    callback = MLflowCallback("trial", "first", (tmp_path / "runs").as_uri())
    with pytest.raises(KeyboardInterrupt):
        trainer_with(callback, Stop()).fit()
    assert status() == "KILLED"
    with pytest.raises(TrainingError):
        trainer_with(callback, values=[math.nan]).fit()
    assert status() == "FAILED"
    with pytest.raises(KeyboardInterrupt):
        trainer_with(callback, Stop()).fit()
    assert seen == ["RUNNING"] * 4


@pytest.mark.filterwarnings("ignore")
def test_mlflow_gets_settings_curves_and_outcome(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    callback = MLflowCallback("trial", "first", (tmp_path / "runs").as_uri())
    trainer_with(callback).fit()
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=(tmp_path / "runs").as_uri())
    assert callback.run_id is not None
    run = client.get_run(callback.run_id)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "first"
    assert run.data.params["max_epochs"] == "4"
    assert run.data.tags["stop_reason"] == "reached max_epochs = 4"
    assert run.data.metrics["best_elbo"] == -3.0
    steps = client.get_metric_history(callback.run_id, "elbo")
    assert {metric.step: metric.value for metric in steps} == {1: -5.0, 2: -4.0, 3: -3.0, 4: -3.5}
