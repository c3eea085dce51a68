"""Copies of a model's trainable weights."""

import torch
from torch import Tensor, nn


def copy_weights(module: nn.Module) -> dict[str, Tensor]:
    """Return detached copies of the trainable weights."""
    return {name: weight.detach().clone() for name, weight in module.named_parameters()}


@torch.no_grad()
def restore_weights(module: nn.Module, weights: dict[str, Tensor]) -> None:
    """Set the trainable weights in place."""
    for name, weight in module.named_parameters():
        weight.copy_(weights[name])


class KeptWeights:
    """The best weights so far, in memory of their own that is filled again and again.

    Parameters
    ----------
    module : nn.Module
        Its weights at this moment are the first to be kept.
    """

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self._weights = list(module.parameters())
        self.kept = copy_weights(module)
        self._candidate: dict[str, Tensor] | None = None

    def keep(self) -> None:
        """Keep the present weights."""
        self._fill(self.kept)

    def note(self) -> None:
        """Note the present weights as what `keep_noted` may keep after they have changed."""
        if self._candidate is None:
            self._candidate = copy_weights(self.module)
        else:
            self._fill(self._candidate)

    def keep_noted(self) -> None:
        """Keep the noted weights."""
        assert self._candidate is not None
        self.kept, self._candidate = self._candidate, self.kept

    def restore(self) -> None:
        """Set the module's weights to those kept."""
        restore_weights(self.module, self.kept)

    @torch.no_grad()
    def _fill(self, target: dict[str, Tensor]) -> None:
        # one call for all tensors: name by name it would cost as much as a small network's forward pass
        torch._foreach_copy_(list(target.values()), self._weights)  # pyright: ignore
