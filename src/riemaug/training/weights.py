"""Copies of what training changes in a model: its weights, and the running means of its networks."""

import torch
from torch import Tensor, nn

from riemaug.models.rhvae import STORED_METRICS


def changing_tensors(module: nn.Module) -> dict[str, Tensor]:
    """Return what training changes, by name: weights, and buffers such as those of batch normalisation.

    Stored metrics are not among them: they are built from the weights, anew for each validation.
    """
    kept = {name: buffer for name, buffer in module.named_buffers() if not name.startswith(STORED_METRICS)}
    return {**dict(module.named_parameters()), **kept}


def copy_weights(module: nn.Module) -> dict[str, Tensor]:
    """Return detached copies of what training changes."""
    return {name: tensor.detach().clone() for name, tensor in changing_tensors(module).items()}


@torch.no_grad()
def restore_weights(module: nn.Module, weights: dict[str, Tensor]) -> None:
    """Set what training changes, in place."""
    for name, tensor in changing_tensors(module).items():
        tensor.copy_(weights[name])


class KeptWeights:
    """The best weights so far, in memory of their own that is filled again and again.

    Parameters
    ----------
    module : nn.Module
        Its weights at this moment are the first to be kept.
    """

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self._weights = list(changing_tensors(module).values())
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
