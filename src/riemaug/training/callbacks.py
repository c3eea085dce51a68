"""Who hears how training goes: the interface, and trackers for TensorBoard and MLflow."""

import os
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from riemaug.errors import InvalidInputError
from riemaug.training.config import TrainingConfig
from riemaug.training.reports import EpochReport, RollbackReport
from riemaug.training.state import History

INTERRUPTED, FAILED = "interrupted", "failed"


@runtime_checkable
class Callback(Protocol):
    """Hears what happens in training. It cannot change the run; what it raises ends the run."""

    def on_start(self, config: TrainingConfig, history: History) -> None:
        """Hear that training begins; of a resumed one the history is not empty."""

    def on_epoch(self, report: EpochReport) -> None:
        """Hear how an epoch went."""

    def on_rollback(self, report: RollbackReport) -> None:
        """Hear that training diverged and goes on from its best weights."""

    def on_end(self, history: History) -> None:
        """Hear that training has ended, after `on_start` in every case.

        `history.stop_reason` is `INTERRUPTED` after a KeyboardInterrupt, and begins with `FAILED` after any
        other exception, which goes on its way when all callbacks have heard.
        """


class Callbacks:
    """All that hear of one training; none of them where another process tells.

    Parameters
    ----------
    callbacks : sequence of Callback
    """

    def __init__(self, callbacks: Sequence[Callback]) -> None:
        self._callbacks = tuple(callbacks)

    @contextmanager
    def told_of(self, config: TrainingConfig, history: History) -> Iterator[None]:
        """Let them hear of a training's start and of its end, whichever that is."""
        ended: str | None = None
        try:
            for callback in self._callbacks:
                callback.on_start(config, history)
            yield
        except KeyboardInterrupt:
            ended = INTERRUPTED
            raise
        except Exception as error:
            ended = f"{FAILED}: {' '.join(str(error).split()) or type(error).__name__}"
            raise
        finally:
            last = history if ended is None else replace(history, stop_reason=ended)
            for callback in self._callbacks:
                callback.on_end(last)

    def epoch(self, report: EpochReport) -> None:
        """Let them hear how an epoch went."""
        for callback in self._callbacks:
            callback.on_epoch(report)

    def rollback(self, report: RollbackReport) -> None:
        """Let them hear that training goes on from its best weights."""
        for callback in self._callbacks:
            callback.on_rollback(report)


class Tracker(ABC):
    """A callback that writes to some tracking service, whose failure never ends a training.

    The first failure is told as a warning; the tracker then hears no more.
    """

    def __init__(self) -> None:
        self._failed, self._is_open = False, False

    @abstractmethod
    def open(self, config: TrainingConfig, first_epoch: int) -> None:
        """Begin to write; the next epoch is `first_epoch`."""

    @abstractmethod
    def write(self, values: dict[str, float], epoch: int) -> None:
        """Write numbers of an epoch by name."""

    @abstractmethod
    def close(self, history: History) -> None:
        """Write the outcome and end."""

    def on_start(self, config: TrainingConfig, history: History) -> None:
        """Begin to write."""
        self._attempt(lambda: self.open(config, history.num_epochs + 1))
        self._is_open = True

    def on_epoch(self, report: EpochReport) -> None:
        """Write the numbers of an epoch."""
        self._attempt(lambda: self.write(report.metrics(), report.epoch))

    def on_rollback(self, report: RollbackReport) -> None:
        """Write how many rollbacks there were."""
        self._attempt(lambda: self.write({"rollbacks": float(report.rollbacks)}, report.epoch))

    def on_end(self, history: History) -> None:
        """Write the outcome and end."""
        if self._is_open:
            self._attempt(lambda: self.close(history))
        self._is_open = False

    def _attempt(self, action: Callable[[], None]) -> None:
        if self._failed:
            return
        try:
            action()
        except Exception as error:
            self._failed = True
            reason = " ".join(str(error).split()) or type(error).__name__
            warnings.warn(
                f"{type(self).__name__} failed and is switched off, training goes on: {reason}",
                RuntimeWarning,
                stacklevel=4,
            )


class TensorBoardCallback(Tracker):
    """Writes curves that TensorBoard shows; needs the extra `tracking`.

    Parameters
    ----------
    folder : path
        Of this run; a resumed training goes on in it.

    Raises
    ------
    InvalidInputError
        TensorBoard is not installed.
    """

    def __init__(self, folder: Path | str) -> None:
        super().__init__()
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise _not_installed("TensorBoard") from error
        self._make_writer, self.folder = SummaryWriter, Path(folder)
        self._writer: Any = None

    def open(self, config: TrainingConfig, first_epoch: int) -> None:
        """Open the event file; epochs that will be done again are marked as obsolete."""
        self._writer = self._make_writer(str(self.folder), purge_step=first_epoch)
        self._writer.add_text("training", config.model_dump_json(indent=1), first_epoch - 1)

    def write(self, values: dict[str, float], epoch: int) -> None:
        """Add one point to each curve."""
        for name, value in values.items():
            self._writer.add_scalar(f"training/{name}", value, epoch)

    def close(self, history: History) -> None:
        """Write the reason of the end and close the file."""
        self._writer.add_text("stopped", history.stop_reason, history.num_epochs)
        self._writer.close()


class MLflowCallback(Tracker):
    """Writes parameters, curves and outcome to an MLflow run; needs the extra `tracking`.

    Parameters
    ----------
    experiment : str
        Made if there is none of that name.
    run_name : str, optional
    tracking_uri : str, optional
        Of the server or store; by default MLflow's own setting.

    Raises
    ------
    InvalidInputError
        MLflow is not installed.
    """

    def __init__(
        self, experiment: str = "riemaug", run_name: str | None = None, tracking_uri: str | None = None
    ) -> None:
        super().__init__()
        # MLflow tells its makers of its use unless it is told not to, or this is set
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        try:
            from mlflow.tracking import MlflowClient
        except ImportError as error:
            raise _not_installed("MLflow") from error
        self._make_client, self.tracking_uri = MlflowClient, tracking_uri
        self.experiment, self.run_name = experiment, run_name
        self.run_id: str | None = None
        self._client: Any = None

    def open(self, config: TrainingConfig, first_epoch: int) -> None:
        """Begin a run, or go on with the one of this callback, and write the settings."""
        self._client = self._make_client(tracking_uri=self.tracking_uri)
        if self.run_id is not None:
            self._client.update_run(self.run_id, "RUNNING")
            return
        known = self._client.get_experiment_by_name(self.experiment)
        number = self._client.create_experiment(self.experiment) if known is None else known.experiment_id
        self.run_id = self._client.create_run(number, run_name=self.run_name).info.run_id
        for name, value in config.model_dump(mode="json").items():
            self._client.log_param(self.run_id, name, value)

    def write(self, values: dict[str, float], epoch: int) -> None:
        """Add one point to each curve."""
        for name, value in values.items():
            self._client.log_metric(self.run_id, name, value, step=epoch)

    def close(self, history: History) -> None:
        """Write the outcome and end the run."""
        if history.best_epoch >= 0:
            self._client.log_metric(self.run_id, "best_elbo", history.best_elbo)
        self._client.set_tag(self.run_id, "stop_reason", history.stop_reason)
        self._client.set_terminated(self.run_id, _mlflow_status(history.stop_reason))


def _mlflow_status(stop_reason: str) -> str:
    statuses = {INTERRUPTED: "KILLED", FAILED: "FAILED"}
    return statuses.get(stop_reason.partition(":")[0], "FINISHED")


def _not_installed(service: str) -> InvalidInputError:
    return InvalidInputError(
        f"tracking with {service} needs the extra 'tracking', which is not installed: "
        "pip install 'riemaug[tracking]'"
    )
