"""Mixed precision: what the networks' products are computed in while training."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from riemaug.errors import InvalidInputError
from riemaug.training.config import PrecisionName


class Precision:
    """Autocast for float32 networks, and a scaled loss where the gradients need it.

    Autocast never touches float64, so the geometry keeps its own precision.

    Parameters
    ----------
    name : "float32", "bfloat16" or "float16"
    device : torch.device

    Raises
    ------
    InvalidInputError
        The device cannot compute in that precision.
    """

    def __init__(self, name: PrecisionName, device: torch.device) -> None:
        self.dtype = getattr(torch, name)
        self.device = device
        if name == "float16" and device.type != "cuda":
            raise InvalidInputError(
                f"precision float16 needs a CUDA device, training runs on {device.type}; "
                "use bfloat16 or float32"
            )
        if name == "bfloat16" and device.type == "cuda" and not torch.cuda.is_bf16_supported():
            raise InvalidInputError(
                "precision bfloat16 needs a CUDA device that has it, this one has not; use float16 or float32"
            )
        self.scaler = torch.amp.GradScaler(device.type) if name == "float16" else None

    @contextmanager
    def networks(self) -> Iterator[None]:
        """Compute the networks called in the block in this precision."""
        if self.dtype == torch.float32:
            yield
            return
        with torch.autocast(self.device.type, dtype=self.dtype):
            yield

    def scaled(self, loss: Tensor) -> Tensor:
        """Return the loss to differentiate."""
        return loss if self.scaler is None else self.scaler.scale(loss)

    def state(self) -> dict:
        """Return what the loss scale depends on, JSON-safe."""
        return {} if self.scaler is None else self.scaler.state_dict()

    def forget_steps(self) -> None:
        """Keep the loss scale and nothing of the steps of an optimiser that is replaced.

        A scaler knows optimisers by their address, which a new one may have from one that went away between
        unscaling and stepping.
        """
        if self.scaler is not None:
            scaler = torch.amp.GradScaler(self.device.type)
            scaler.load_state_dict(self.scaler.state_dict())
            self.scaler = scaler

    def restore(self, state: dict) -> None:
        """Go on from what `state` returned."""
        if self.scaler is not None and state:
            self.scaler.load_state_dict(state)
