"""What a job will take, before it begins: time, memory, disk; and a way out where it cannot fit."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import joblib
import numpy as np
import psutil
import torch

from riemaug.class_model import BLOCK, NO_NETWORKS, Networks
from riemaug.errors import ResourceError
from riemaug.free_memory import free_memory
from riemaug.models import ModelConfig
from riemaug.parallel import num_workers
from riemaug.run.fitting import has_fixed_length
from riemaug.run.network_cost import ModelCost, cost_of
from riemaug.run.sharing import LEAST_SAMPLES, MEASURED_CLASSES, rehearsal_steps, rehearsed
from riemaug.training import TrainingConfig
from riemaug.training.batches import num_batches

BYTES = 4
WEIGHT_COPIES = 5.0
"""Weights, gradients, two moments of Adam, the best weights so far."""
PASSES_PER_POSITION = 6.0
"""Products of the size of the decoder a flow position costs: forward, score, and the backward of both."""
PASSES_OF_PLAIN_STEP = 3.0
"""Products of its size that a network costs a step outside a flow: forward and two of the backward."""
CONV_COPIES, CONV_COPIES_OF_FLOW = 6.0, 16.0
"""Copies of what its layers give out that a convolutional decoder keeps, and at each position of a flow."""
CONV_RATE = 0.4
"""Rate of convolutions, as a share of that of matrix products."""
PRODUCTS_IN_A_ROW = 4
TRIAL_SHARE = 0.5
"""Time of a trial of a search, as a share of that of the training itself: some are given up early."""
DERIVATIVE_COPIES = 2.5
"""Copies of dC/dz that a flow position keeps."""
PROCESS_BYTES = 450e6
"""Python, PyTorch and the libraries, per process."""
SECONDS_OF_WORK_FOR_A_PROCESS = 10.0
"""Below this, starting worker processes (each imports PyTorch) takes longer than they save."""
SECONDS_PER_SMALL_STEP = 1.5e-3
"""Overhead of an epoch: the optimiser's and autograd's bookkeeping."""
SECONDS_PER_LEAPFROG_STEP = 4e-3
SECONDS_PER_SAMPLE = 1e-3
"""To draw, decode, compare and write one."""
SECONDS_PER_REPORTED_CLASS = 1.0
USUAL_EPOCHS = 1000
SAFE_SHARE = 0.85
"""Share of the memory that is free now which a job may plan to use."""


@dataclass(frozen=True)
class Estimate:
    """What training all classes will take.

    Attributes
    ----------
    memory : float
        Bytes of all processes together, at the largest, with the number of jobs given.
    memory_per_job : float
        Bytes of one model's training, in a process that has loaded the libraries.
    available : float
        Bytes free now, and those this process has already.
    seconds_per_epoch : float
        Of the largest class.
    seconds : float
        For all classes, if each takes the usual number of epochs where training stops by itself, else
        its fixed number; see `with_samples` for what comes after.
    num_jobs : int
        Of a cluster's workers, where one is used: their memory is not counted.
    more_seconds_apart : float
        So much longer it takes if a rehearsal finds that classes had better not share the model.
    """

    memory: float
    memory_per_job: float
    available: float
    seconds_per_epoch: float
    seconds: float
    num_jobs: int
    more_seconds_apart: float = 0.0


def estimate_fit(
    model: ModelConfig,
    training: TrainingConfig,
    class_sizes: tuple[int, ...],
    data_bytes: int,
    num_jobs: int | None,
    shared: bool = False,
    networks: Networks = NO_NETWORKS,
    separate_trainings: Sequence[TrainingConfig] = (),
) -> Estimate:
    """Return what fitting will take; choose the number of jobs if it is None.

    Parameters
    ----------
    shared : bool
        One model is trained on all classes, in one process; jobs are of what follows.
    networks : Networks
        The user's own.
    separate_trainings : sequence of TrainingConfig
        One a class, where models are not shared and not all trained by `training`.

    Raises
    ------
    ResourceError
        It cannot fit into the memory that is free; the message names a way out.
    """
    cost, sizes = cost_of(model, networks), (sum(class_sizes),) if shared else class_sizes
    # beside its training, a job holds the whole training set as float32 for the copying check
    fitting = _job_bytes(model, cost, training, max(sizes)) + data_bytes
    per_job = _drawing_bytes(cost) + data_bytes if shared else fitting
    overhead = PROCESS_BYTES + 2.0 * data_bytes
    available = float(free_memory() + psutil.Process().memory_info().rss)
    room = available * SAFE_SHARE - overhead
    rate = matrix_rate()
    trainings = (not shared and separate_trainings) or [training] * len(sizes)
    parts = [
        _usual_epochs(own) * _epoch_seconds(model, cost, own, size, rate)
        for own, size in zip(trainings, sizes, strict=True)
    ]
    work = sum(parts)
    jobs = min(num_jobs or _jobs_that_pay(work, per_job + PROCESS_BYTES, room), len(class_sizes))
    # at the end this process holds all models, to write them into one file
    gathered = 1.2 * BYTES * cost.num_weights * len(sizes)
    here = jobs if num_workers() is None else 1
    needed = overhead + max(_bytes_of(here, per_job), gathered, fitting)
    if needed > available * SAFE_SHARE:
        raise ResourceError(_way_out(needed, available, overhead + fitting, jobs, model))
    seconds = work if shared else max(work / min(jobs, num_workers() or _cores()), *parts)
    epoch = _epoch_seconds(model, cost, training, max(sizes), rate)
    return Estimate(needed, fitting, available, epoch, seconds, jobs)


def either(shared: Estimate, separate: Estimate) -> Estimate:
    """Return what a fit takes where it is open whether classes share a model: memory for both ways."""
    return replace(
        separate,
        memory=max(shared.memory, separate.memory),
        memory_per_job=max(shared.memory_per_job, separate.memory_per_job),
        seconds_per_epoch=max(shared.seconds_per_epoch, separate.seconds_per_epoch),
        seconds=shared.seconds,
        more_seconds_apart=max(0.0, separate.seconds - shared.seconds),
    )


def with_rehearsal(
    estimate: Estimate,
    model: ModelConfig,
    training: TrainingConfig,
    class_sizes: tuple[int, ...],
    separate_trainings: Sequence[TrainingConfig],
    networks: Networks = NO_NETWORKS,
) -> Estimate:
    """Return the estimate with the time of the trainings that decide whether classes share a model."""
    # the classes that are measured are drawn later; taken for the largest
    measured = sorted(zip(class_sizes, separate_trainings, strict=True), key=lambda pair: -pair[0])
    measured = [pair for pair in measured[:MEASURED_CLASSES] if pair[0] >= LEAST_SAMPLES]
    if not measured:
        return estimate
    plain = model.model_copy(update={"kind": "vae"})
    cost, rate, total = cost_of(plain, networks), matrix_rate(), sum(class_sizes)
    steps = rehearsal_steps(training, total)
    seconds = []
    for size, own in [(total, training), *measured]:
        short = rehearsed(own, size, steps)
        seconds.append(short.max_epochs * _epoch_seconds(plain, cost, short, size, rate))
    spent = max(sum(seconds) / min(estimate.num_jobs, _cores()), *seconds)
    return replace(estimate, seconds=estimate.seconds + spent)


def _usual_epochs(training: TrainingConfig) -> int:
    """Return how many epochs a training is taken to last."""
    return training.max_epochs if has_fixed_length(training) else min(USUAL_EPOCHS, training.max_epochs)


def with_search(estimate: Estimate, num_trials: int, most_seconds: float | None) -> Estimate:
    """Return the estimate with the time of the trainings by which constants are searched."""
    searching = TRIAL_SHARE * (num_trials + 1) * estimate.seconds
    if most_seconds is not None:
        searching = min(searching, most_seconds + 2 * TRIAL_SHARE * estimate.seconds)
    return replace(estimate, seconds=estimate.seconds + searching)


def with_samples(estimate: Estimate, counts: tuple[int, ...]) -> Estimate:
    """Return the estimate with the time that making `counts` samples of each class takes."""
    making = drawing_seconds(counts, estimate.num_jobs) + len(counts) * SECONDS_PER_REPORTED_CLASS
    return replace(estimate, seconds=estimate.seconds + making)


def drawing_seconds(counts: tuple[int, ...], num_jobs: int) -> float:
    """Return how long drawing, decoding and writing `counts` samples of each class takes."""
    return sum(counts) * SECONDS_PER_SAMPLE / min(num_jobs, _cores())


def drawing_memory(models: Sequence[ModelConfig], num_jobs: int, batch_bytes: float) -> float:
    """Return the bytes of drawing from saved models, of which this process holds all and a job one."""
    costs = [cost_of(model) for model in models]
    per_job = max(_drawing_bytes(cost) for cost in costs) + 2.0 * batch_bytes
    held = BYTES * sum(cost.num_weights for cost in costs)
    return PROCESS_BYTES + held + _bytes_of(num_jobs, per_job)


def _bytes_of(jobs: int, per_job: float) -> float:
    """Return the bytes of the jobs: one runs in this process, several each in their own."""
    return per_job if jobs == 1 else jobs * (per_job + PROCESS_BYTES)


def _job_bytes(model: ModelConfig, cost: ModelCost, training: TrainingConfig, size: int) -> float:
    """Return the bytes of one model's training: weights and their copies, data, activations."""
    batch = min(size, training.batch_size)
    positions = _positions(model)
    copies = CONV_COPIES_OF_FLOW if model.is_flow else CONV_COPIES
    if model.network == "mlp":
        copies = PASSES_PER_POSITION
    activations = batch * copies * (positions * cost.decoder.values)
    if model.network != "mlp":
        activations += batch * PASSES_OF_PLAIN_STEP * (cost.encoder.values + cost.metric.values)
    data = 2.0 * size * model.data_dim
    # dC/dz has d^3 entries a point, in float64, and is kept for the backward pass
    derivatives = 2 * DERIVATIVE_COPIES * batch * (positions + 1) * model.latent_dim**3
    if model.kind != "rhvae":
        derivatives = 0.0
    return BYTES * (WEIGHT_COPIES * cost.num_weights + activations + data + derivatives)


def _drawing_bytes(cost: ModelCost) -> float:
    """Return the bytes of drawing from a model: its weights and one decoded block."""
    return BYTES * (1.2 * cost.num_weights + 2.0 * BLOCK * cost.decoder.values)


def _positions(model: ModelConfig) -> int:
    """Return at how many points of the latent space a sample is decoded in one step of training."""
    return model.num_leapfrog_steps + 1 if model.is_flow else 1


def _jobs_that_pay(work: float, per_job: float, room: float) -> int:
    """Return as many jobs as cores and memory allow; one if the seconds of work are few."""
    if work < SECONDS_OF_WORK_FOR_A_PROCESS:
        return 1
    return max(1, min(_cores(), int(room // per_job)))


def _cores() -> int:
    return joblib.cpu_count()  # those this process may use: containers and schedulers give fewer


def _epoch_seconds(
    model: ModelConfig, cost: ModelCost, training: TrainingConfig, size: int, rate: float
) -> float:
    """Return the seconds of an epoch, mean over those without and with the flow."""
    share = training.plain_share if model.is_flow else 0.0
    plain = _seconds_at(1, model, cost, training, size, rate) if share else 0.0
    return share * plain + (1.0 - share) * _seconds_at(_positions(model), model, cost, training, size, rate)


def _seconds_at(
    positions: int, model: ModelConfig, cost: ModelCost, training: TrainingConfig, size: int, rate: float
) -> float:
    """Return the seconds of an epoch that decodes so many points of the latent space for each sample.

    Matrix products at this machine's rate in operations a second, plus bookkeeping.
    """
    decoder, encoder, metric = cost.decoder.products, cost.encoder.products, cost.metric.products
    if positions == 1:
        passes = PASSES_OF_PLAIN_STEP * (decoder + encoder)
    else:
        passes = PASSES_PER_POSITION * positions * decoder + PASSES_OF_PLAIN_STEP * (encoder + metric)
    if model.network != "mlp":
        rate *= CONV_RATE
    batches = num_batches(size, training.batch_size)
    overhead = SECONDS_PER_SMALL_STEP + (positions - 1) * SECONDS_PER_LEAPFROG_STEP
    update = 10.0 * BYTES * cost.num_weights / 8e9
    return 2.0 * size * passes / rate + batches * (overhead + update)


def matrix_rate() -> float:
    """Return the float32 operations a second of one thread in matrix products, measured in 30 ms.

    That is the best rate of a few products in a row: others may hold the processor for a moment.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        left, right = torch.from_numpy(np.ones((128, 512), np.float32)), torch.ones(512, 512)
        torch.mm(left, right)
        begun, best = time.perf_counter(), float("inf")
        while time.perf_counter() - begun < 0.03:
            started = time.perf_counter()
            for _ in range(PRODUCTS_IN_A_ROW):
                torch.mm(left, right)
            best = min(best, time.perf_counter() - started)
        return 2.0 * 128 * 512 * 512 * PRODUCTS_IN_A_ROW / best
    finally:
        torch.set_num_threads(threads)


def _way_out(needed: float, available: float, needed_by_one: float, jobs: int, model: ModelConfig) -> str:
    found = f"the job needs about {needed / 1e9:.1f} GB of memory, {available / 1e9:.1f} GB are free"
    if jobs > 1 and needed_by_one <= available * SAFE_SHARE:
        return f"{found}: use --jobs 1 (about {needed_by_one / 1e9:.1f} GB)"
    if model.data_dim >= 256:
        return (
            f"{found}: make the samples smaller (they have {model.data_dim} values; images: --resize HxW, "
            "volumes: --fit-shape XxYxZ)"
        )
    return f"{found}: free some memory or use a larger machine"
