"""Our training steps, timed as pythae's are, and the check that their gradient is the objective's."""

import time

import torch

from riemaug.models import LatentModel, ModelConfig, build_model, paper_model
from riemaug.random import Stream
from riemaug.training import Trainer, TrainingConfig

KINDS = ("vae", "hvae", "rhvae")
LARGEST_NORM = 1e3


class Steps:
    """Training steps of one model of the paper's networks on `num` random samples, all in one batch."""

    def __init__(self, kind: str, num: int) -> None:
        self.data = torch.rand(num, 784, generator=torch.Generator().manual_seed(0))
        self.model = build_model(paper_model(784, kind), 0)  # type: ignore[arg-type]
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-3, fused=True)
        self.generator = torch.Generator().manual_seed(1)

    def run(self, seconds: float) -> list[float]:
        """Return the processor times of steps done in about `seconds`."""
        times, ends = [], time.perf_counter() + seconds
        while len(times) < 5 or time.perf_counter() < ends:
            times.append(self._step())
        return times

    def _step(self) -> float:
        started = time.process_time()
        objective = self.model.objective(self.data, self.generator)
        self.optimizer.zero_grad(set_to_none=True)
        objective.loss().backward()
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), LARGEST_NORM)
        if not bool(norm.isfinite()):
            raise ArithmeticError("the gradient is not finite")
        self.optimizer.step()
        return time.process_time() - started


def epoch_seconds(kind: str, num: int, epochs: int) -> float:
    """Return the processor time an epoch of `Trainer.fit`, one batch an epoch, without its start."""
    times = []
    for count in (2, 2 + epochs):
        model = build_model(paper_model(784, kind), 0)  # type: ignore[arg-type]
        data = torch.rand(num, 784, generator=torch.Generator().manual_seed(0))
        config = TrainingConfig(max_epochs=count, patience=10**6, batch_size=num)
        trainer = Trainer(model, data, config, Stream(0))
        started = time.process_time()
        trainer.fit()
        times.append(time.process_time() - started)
    return (times[1] - times[0]) / epochs


def gradient_error(num: int, directions: int) -> float:
    """Return the largest relative error of the RHVAE's gradient along random directions of all weights.

    Against central differences of the objective, float64, with data of 16 features: the same code, and few
    enough units for no ReLU to switch within the differences.
    """
    config = ModelConfig(data_dim=16, encoder_hidden=(8,), decoder_hidden=(8,), metric_hidden=(8,))
    model = build_model(config, 0).double()
    data = torch.rand(num, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    gradients = torch.autograd.grad(_objective(model, data), list(model.parameters()))
    generator, worst = torch.Generator().manual_seed(2), 0.0
    for _ in range(directions):
        direction = [
            torch.randn(weight.shape, generator=generator, dtype=weight.dtype) for weight in gradients
        ]
        exact = sum(float((a * b).sum()) for a, b in zip(gradients, direction, strict=True))
        width = 1e-6
        values = []
        for shift in (width, -2 * width):
            with torch.no_grad():
                for weight, step in zip(model.parameters(), direction, strict=True):
                    weight.add_(shift * step)
            values.append(float(_objective(model, data).detach()))
        with torch.no_grad():
            for weight, step in zip(model.parameters(), direction, strict=True):
                weight.add_(width * step)
        slope = (values[0] - values[1]) / (2 * width)
        worst = max(worst, abs(slope - exact) / abs(exact))
    return worst


def _objective(model: LatentModel, data: torch.Tensor) -> torch.Tensor:
    return model.objective(data, torch.Generator().manual_seed(1)).elbo
