"""One optimiser step: gradients clipped, nothing done where they are not finite, no copy for either."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from riemaug.training.config import TrainingConfig
from riemaug.training.precision import Precision

BETAS = (0.9, 0.95)
"""Adam's averages. Early in training a few steps have gradients hundreds of times the usual; with the usual
0.999 they would slow all weights for a thousand steps."""


class Optimization:
    """Adam with clipped gradients on a model's weights.

    Clipping and the guard against numbers that are not finite happen inside the fused step: the gradients
    are read once for their norm and once by Adam, and on CUDA nothing waits for the device.

    Parameters
    ----------
    module : nn.Module
    config : TrainingConfig
    precision : Precision
    """

    def __init__(self, module: nn.Module, config: TrainingConfig, precision: Precision) -> None:
        self.module, self.precision = module, precision
        # looked up once: to walk the modules at each step costs as much as a small layer
        self._weights = list(module.parameters())
        self.max_norm = config.max_gradient_norm
        self.learning_rate = config.learning_rate
        self.adam = self._new_adam()

    def set_rate_factor(self, factor: float) -> None:
        """Take the next steps with this multiple of the learning rate."""
        for group in self.adam.param_groups:
            group["lr"] = factor * self.learning_rate

    def backward(self, loss: Float[Tensor, ""]) -> Bool[Tensor, ""]:
        """Set the gradients of a loss; return whether the loss and their norm are finite."""
        for weight in self._weights:
            weight.grad = None
        scaler = self.precision.scaler
        self.precision.scaled(loss).backward()
        if scaler is not None:
            scaler.unscale_(self.adam)
        self.norm = self._gradient_norm()
        is_good = torch.isfinite(self.norm)
        if scaler is not None:
            # an overflow of float16 is no divergence: the scaler skips the step and takes a smaller scale
            is_good = is_good | (scaler.get_scale() >= 1.0)
        return is_good & torch.isfinite(loss.detach())

    def step(self) -> None:
        """Move the weights by the clipped gradients; not at all where these are not finite."""
        # the fused step takes no other type, whatever the weights are
        scale = (self.norm / self.max_norm).clamp(min=1.0).float()
        scaler = self.precision.scaler
        if scaler is not None:
            setattr(self.adam, "grad_scale", scale)  # noqa: B010
            scaler.step(self.adam)
            scaler.update()
            return
        # the two attributes are how a GradScaler tells the fused step what to divide by and when to skip
        setattr(self.adam, "grad_scale", scale)  # noqa: B010
        setattr(self.adam, "found_inf", (~torch.isfinite(self.norm)).float())  # noqa: B010
        self.adam.step()

    def restart(self, learning_rate: float) -> None:
        """Forget the moments and go on with another learning rate."""
        self.learning_rate = learning_rate
        self.adam = self._new_adam()
        self.precision.forget_steps()

    def moments(self) -> dict[str, Tensor]:
        """Return Adam's state by "kind.name of the weight"."""
        return {
            f"{kind}.{name}": value
            for name, weight in self.module.named_parameters()
            for kind, value in self.adam.state.get(weight, {}).items()
        }

    def resume(self, learning_rate: float, moments: dict[str, Tensor]) -> None:
        """Go on from a learning rate and what `moments` returned."""
        self.restart(learning_rate)
        weights = dict(self.module.named_parameters())
        for key, value in moments.items():
            kind, _, name = key.partition(".")
            # the fused optimiser wants its step counter beside the weight, too
            self.adam.state[weights[name]][kind] = value.to(weights[name].device)

    def _gradient_norm(self) -> Float[Tensor, ""]:
        gradients = [weight.grad for weight in self._weights if weight.grad is not None]
        return torch.nn.utils.get_total_norm(gradients)

    def _new_adam(self) -> torch.optim.Adam:
        return torch.optim.Adam(self._weights, lr=self.learning_rate, betas=BETAS, fused=True)
