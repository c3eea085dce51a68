"""One large model trained by several devices at once, through Lightning Fabric (extra `distributed`).

Each process has some rows of every batch. Gradients are averaged over the processes, and posterior means and
metric factors are gathered from all of them with their gradients, so that an RHVAE's training metric, its
objective and its weights are those of one process that has the whole batch. Noise is drawn for the whole
batch in every process, so that it does not depend on their number either.
"""

import gc
import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float, Int
from safetensors.torch import load_file, save_file
from torch import Tensor, distributed, nn
from torch.multiprocessing.spawn import ProcessExitedException, ProcessRaisedException

from riemaug.errors import InvalidInputError, TrainingError
from riemaug.models.base import LatentModel, Objective
from riemaug.models.condition import Condition
from riemaug.models.rhvae import RHVAE, EncodedKernels
from riemaug.random import Stream
from riemaug.training.batches import Augmentation, Samples
from riemaug.training.callbacks import Callback
from riemaug.training.config import TrainingConfig
from riemaug.training.loop import Trainer
from riemaug.training.state import History
from riemaug.training.weights import copy_weights, restore_weights

if TYPE_CHECKING:
    from lightning_fabric import Fabric
    from lightning_fabric.strategies.ddp import DDPStrategy


@dataclass(frozen=True, eq=False)
class DistributedFit:
    """A training that several processes can share; every part must be picklable.

    Attributes
    ----------
    model : LatentModel
        On the CPU.
    data : Tensor (n, D)
    config : TrainingConfig
    stream : Stream
    state_path, condition, callbacks, augmentation
        As of `Trainer`; the first process alone writes and tells.
    """

    model: LatentModel
    data: Float[Tensor, "n D"]
    config: TrainingConfig
    stream: Stream
    state_path: Path | None = None
    condition: Condition | None = None
    callbacks: Sequence[Callback] = ()
    augmentation: Augmentation | None = None
    subjects: Int[Tensor, " n"] | None = None

    def run(self, devices: int, accelerator: str = "auto") -> History:
        """Train in so many processes, one a device; leave the best weights in the model.

        Parameters
        ----------
        devices : int
        accelerator : "auto", "cuda" or "cpu"

        Raises
        ------
        InvalidInputError
            The extra is not installed, or a batch has fewer samples than there are devices.
        TrainingError
            A process failed, for the reasons that `Trainer.fit` has or any other.
        """
        fabric_class = _fabric()
        if min(self.config.batch_size, len(self.data)) < devices:
            raise InvalidInputError(
                f"each device needs a sample of every batch, {devices} devices share batches of "
                f"{min(self.config.batch_size, len(self.data))}; use fewer devices or larger batches"
            )
        # without the flow the metric network has no gradient, which DDP must know
        unused = bool(self.config.plain_epochs) and self.model.config.is_flow
        fabric = fabric_class(accelerator=accelerator, devices=devices, strategy=_strategy(unused))
        with tempfile.TemporaryDirectory() as folder:
            # through a file: what a process sends back must not outgrow a pipe that nobody reads yet
            try:
                fabric.launch(partial(_train, fit=self, folder=Path(folder)))
            except ProcessRaisedException as error:
                raise TrainingError(_last_line(error)) from error
            except ProcessExitedException as error:
                raise TrainingError(
                    f"the process of each device must reach the end of the training, one did not: {error}; "
                    "look for a lack of memory"
                ) from error
            restore_weights(self.model, load_file(Path(folder) / "weights.safetensors"))
            history = History.from_dict(json.loads((Path(folder) / "history.json").read_text()))
        self.model.eval()
        return history


def _train(fabric: "Fabric", fit: DistributedFit, folder: Path) -> None:
    """Train, in each of the processes, and close what connects them; see `_train_connected`."""
    try:
        _train_connected(fabric, fit, folder)
        fabric.barrier()
    finally:
        # left to the end of the process, threads of the connection can outlive what they use and abort it
        gc.collect()
        distributed.destroy_process_group()


def _train_connected(fabric: "Fabric", fit: DistributedFit, folder: Path) -> None:
    """Train; the first process leaves weights and history in `folder`."""
    # what comes from the process that started these lies in memory that all of them share
    model, device = deepcopy(fit.model).to(fabric.device), fabric.device
    condition = None if fit.condition is None else fit.condition.to(device)
    trainer = Trainer(
        model,
        fit.data.to(device),
        fit.config,
        fit.stream,
        fit.state_path,
        condition=condition,
        callbacks=fit.callbacks,
        augmentation=fit.augmentation,
        processes=SharedBatches(model, fabric),
        subjects=fit.subjects,
    )
    history = trainer.fit()
    if fabric.is_global_zero:
        save_file({k: v.cpu() for k, v in copy_weights(model).items()}, folder / "weights.safetensors")
        (folder / "history.json").write_text(json.dumps(history.to_dict()))


class SharedBatches:
    """The processes that a launched Fabric has started; see `Processes`.

    Parameters
    ----------
    model : LatentModel
        On the device of this process.
    fabric : Fabric
    """

    def __init__(self, model: LatentModel, fabric: "Fabric") -> None:
        self._rank, self._num = fabric.global_rank, fabric.world_size
        # a group of its own: its messages can never be taken for those of the gradients
        gather = _Gather(self._rank, self._num, distributed.new_group())
        self._objective: Any = fabric.setup_module(_OwnObjective(model, gather))

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and tells of progress."""
        return self._rank == 0

    def objective(self, batch: Samples, generator: torch.Generator) -> Objective:
        """Return the objective of this process's rows of a batch."""
        told = batch.condition
        features, group = (None, None) if told is None else (told.features, told.group)
        log_likelihood, divergence, failed = self._objective(batch.rows, features, group, generator)
        return Objective(log_likelihood, divergence, failed)

    def share(self, objective: Objective, batch: Samples) -> float:
        """Return this process's share of the batch times the number of processes, over which is averaged."""
        return len(objective.log_likelihood) * self._num / len(batch)

    def total(self, values: Tensor) -> Tensor:
        """Return the sum of `values` over the processes."""
        summed = values.clone()
        distributed.all_reduce(summed)
        return summed


class _OwnObjective(nn.Module):
    """The parts of the objective of a process's own rows, from the whole batch."""

    def __init__(self, model: LatentModel, gather: "_Gather") -> None:
        super().__init__()
        self.model, self.gather = model, gather

    def forward(
        self,
        data: Float[Tensor, "n D"],
        features: Float[Tensor, "n c"] | None,
        group: Int[Tensor, " n"] | None,
        generator: torch.Generator,
    ) -> tuple[Float[Tensor, " own"], Float[Tensor, " own"], int]:
        condition = None if features is None or group is None else Condition(features, group)
        rows = self.gather.rows(len(data))
        told = None if condition is None else condition[rows]
        with _sharing(self.model, rows, len(data)):
            objective = self._of_rows(data[rows], told, group, len(data), generator)
        return objective.log_likelihood, objective.divergence, objective.failed_steps

    def _of_rows(
        self,
        own: Float[Tensor, "own D"],
        told: Condition | None,
        group: Int[Tensor, " n"] | None,
        total: int,
        generator: torch.Generator,
    ) -> Objective:
        model = self.model
        if not isinstance(model, RHVAE) or not model.follows_flow:
            return model.objective(own, generator, told)
        posterior = model.encode(own, told)
        kernels = model.kernels_of(own, posterior, told)
        whole = EncodedKernels(
            self.gather.all_rows(kernels.centroids, total),
            self.gather.all_rows(kernels.factors, total),
            group,
        )
        return model.objective_in_metric(own, posterior, whole, generator, told)


@contextmanager
def _sharing(model: LatentModel, rows: slice, total: int) -> Iterator[None]:
    """Let the model draw noise for all rows of a batch and keep that of its own."""
    model.shared_rows = (rows, total)
    try:
        yield
    finally:
        model.shared_rows = None


class _Gather:
    """Rows of a batch split over processes, and put together again with their gradients."""

    def __init__(self, rank: int, num: int, group: Any) -> None:
        self.rank, self.num, self.group = rank, num, group

    def sizes(self, total: int) -> list[int]:
        """Return the number of rows of each process: equal, or one more in the first ones."""
        return [total // self.num + (rank < total % self.num) for rank in range(self.num)]

    def rows(self, total: int) -> slice:
        """Return the rows of this process."""
        sizes = self.sizes(total)
        start = sum(sizes[: self.rank])
        return slice(start, start + sizes[self.rank])

    def all_rows(self, own: Tensor, total: int) -> Tensor:
        """Return the rows of all processes in the order of the batch."""
        gathered = _AllRows.apply(own, self, total)
        assert isinstance(gathered, Tensor)
        return gathered


class _AllRows(torch.autograd.Function):
    """Gathers rows; backwards each process gets the sum of what all of them want of its rows."""

    @staticmethod
    def forward(ctx: Any, own: Tensor, gather: _Gather, total: int) -> Tensor:
        ctx.gather, ctx.total = gather, total
        sizes = gather.sizes(total)
        padded = own.new_zeros(max(sizes), *own.shape[1:])
        padded[: len(own)] = own
        parts = [torch.empty_like(padded) for _ in sizes]
        distributed.all_gather(parts, padded, group=gather.group)
        return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor, None, None]:
        summed = cotangents[0].clone()
        distributed.all_reduce(summed, group=ctx.gather.group)
        return summed[ctx.gather.rows(ctx.total)], None, None


def _last_line(error: Exception) -> str:
    """Return what the failed process raised, the last line of its traceback."""
    return str(error).strip().splitlines()[-1].strip()


def _fabric() -> "type[Fabric]":
    try:
        from lightning_fabric import Fabric
    except ImportError as error:
        raise InvalidInputError(
            "training on several devices needs the extra 'distributed', which is not installed: "
            "pip install 'riemaug[distributed]'"
        ) from error
    return Fabric


def _strategy(find_unused: bool) -> "DDPStrategy":
    from lightning_fabric.strategies.ddp import DDPStrategy

    return DDPStrategy(start_method="spawn", find_unused_parameters=find_unused)
