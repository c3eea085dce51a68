"""Draws block by block, from any block on: what long streams of samples are made from, in bounded memory."""

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, fields
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from riemaug.random import Stream, as_stream
from riemaug.samplers.base import (
    Block,
    Diagnostics,
    Draws,
    ProgressCallback,
    Sampler,
    SamplingProgress,
    draw_blocks,
    empty_block,
)
from riemaug.samplers.chains import OnStep

State = dict[str, Shaped[np.ndarray, "..."]]
"""What diagnostics go by, as plain arrays: kept on a disk, it lets a stream of draws go on elsewhere."""


@runtime_checkable
class Tracing(Protocol):
    """A tally that keeps the traces of the first blocks only."""

    @property
    def wants_traces(self) -> bool:
        """Whether the traces of one more block are kept."""
        ...


@dataclass
class DrawSums:
    """Sums over the draws that were taken; they do not grow with their number.

    Attributes
    ----------
    count : int
    log_density, acceptance : float
    flat : float or None
        Of the shares that the regularisation has, see `riemaug.samplers.diagnostics.flat_shares`.
    """

    count: int = 0
    log_density: float = 0.0
    acceptance: float = 0.0
    flat: float = 0.0

    def add(self, part: Block, flat_shares: Float[Tensor, " n"] | None = None) -> None:
        """Add draws; block by block, as sums depend on where they are split."""
        self.count += part.log_density.numel()
        self.log_density += float(part.log_density.sum())
        self.acceptance += float(part.acceptance.sum())
        if flat_shares is not None:
            self.flat += float(flat_shares.sum())

    def mean(self, name: str) -> float | None:
        """Return the mean of a quantity; None without draws."""
        return getattr(self, name) / self.count if self.count else None


class DrawSource(ABC):
    """The draws of one random state, block by block, and what is known of those that were taken.

    Blocks may be made in any order, and again; what diagnostics tell is of those that were made in this
    source, with what `resume` and `add` were given. Several sources of one random state may each make some of
    its blocks: one begins with a fresh state, the others with `nothing`, and their states are added up.
    """

    block_size: int
    dim: int
    device: torch.device

    def __init__(self) -> None:
        self.sums = DrawSums()

    @abstractmethod
    def block(self, index: int, on_step: OnStep | None = None) -> Block:
        """Return block `index`, whole; `on_step` hears the steps of chains."""

    @abstractmethod
    def diagnostics(self) -> Diagnostics:
        """Return what is known about the draws that were taken."""

    @abstractmethod
    def flat_shares(self, log_density: Float[Tensor, " n"]) -> Float[Tensor, " n"] | None:
        """Return the share that the regularisation has in the density of each draw, if it has one."""

    @abstractmethod
    def tally(self) -> object:
        """Return the dataclass in which the blocks made so far are counted."""

    def take(self, part: Block) -> None:
        """Count draws of one block as taken."""
        self.sums.add(part, self.flat_shares(part.log_density))

    def state(self) -> State:
        """Return what diagnostics go by so far."""
        return {f"sum_{name}": np.array(value) for name, value in asdict(self.sums).items()} | packed(
            self.tally()
        )

    def resume(self, state: State) -> None:
        """Go on from what `state` returned in another process."""
        for name in asdict(self.sums):
            setattr(self.sums, name, state[f"sum_{name}"].item())
        unpack(self.tally(), state)

    def nothing(self) -> State:
        """Return the state in which not even what precedes the first draw is counted."""
        return {name: np.zeros_like(value) for name, value in self.state().items() if "." not in name}

    def add(self, state: State) -> None:
        """Count what another source did that began with `nothing`, at the block after this one's last.

        Whole numbers and traces become what one source would have; sums of fractions may differ from its in
        the last digits, as they are added in another order.
        """
        for name, value in asdict(self.sums).items():
            setattr(self.sums, name, value + state[f"sum_{name}"].item())
        add_up(self.tally(), state)


class BlockSampler(Sampler):
    """A sampler whose draws can be had block by block, from any block on; see `DrawSource`."""

    @abstractmethod
    def source(self, random_state: int | Stream) -> DrawSource:
        """Return the draws of a random state."""

    @torch.no_grad()
    def sample(
        self, num_samples: int, random_state: int | Stream, progress: ProgressCallback | None = None
    ) -> Draws:
        """Return the first `num_samples` draws of the source; see `Sampler.sample`."""
        source = self.source(as_stream(random_state))

        def draw(index: int) -> Block:
            done = index * source.block_size
            part = source.block(index, teller(progress, done, num_samples))
            source.take(part.first(min(num_samples - done, source.block_size)))
            return part

        empty = empty_block(source.dim, source.device)
        drawn = draw_blocks(draw, num_samples, source.block_size, empty, progress)
        return Draws(drawn.points, drawn.log_density, drawn.origin, drawn.acceptance, source.diagnostics())


class DrawReader:
    """Consecutive draws of a source, whichever blocks they lie in; the present block is kept."""

    def __init__(self, source: DrawSource) -> None:
        self.source = source
        self._index, self._block = -1, empty_block(source.dim, source.device)

    def rows(self, start: int, stop: int) -> Block:
        """Return draws `start` to `stop`, exclusive."""
        size, parts = self.source.block_size, []
        while start < stop:
            index = start // size
            if index != self._index:
                self._index, self._block = index, self.source.block(index)
            end = min(stop, (index + 1) * size)
            parts.append(self._block.rows(start - index * size, end - index * size))
            start = end
        return Block.joined(parts)


def teller(progress: ProgressCallback | None, done: int, total: int) -> OnStep | None:
    """Return what passes the steps of chains on to `progress`."""
    if progress is None:
        return None
    return lambda step, steps, acceptance: progress(SamplingProgress(done, total, acceptance, step, steps))


def packed(tally: object) -> State:
    """Return the numbers and tensors of a dataclass as arrays."""
    state: State = {}
    for field in fields(tally):  # pyright: ignore[reportArgumentType]
        value = getattr(tally, field.name)
        if isinstance(value, list):
            state |= {f"{field.name}.{i}": tensor.cpu().numpy() for i, tensor in enumerate(value)}
        else:
            state[field.name] = np.array(value)
    return state


def add_up(tally: object, state: State) -> None:
    """Add to a tally what `packed` returned of one that counted later blocks; for traces see `Tracing`."""
    traced: list[list[Tensor]] = []
    later: list[list[Tensor]] = []
    for field in fields(tally):  # pyright: ignore[reportArgumentType]
        value = getattr(tally, field.name)
        if isinstance(value, list):
            traced.append(value)
            later.append(_listed(state, field.name))
        else:
            setattr(tally, field.name, value + state[field.name].item())
    for parts in zip(*later, strict=True):
        if isinstance(tally, Tracing) and not tally.wants_traces:
            break
        for kept, part in zip(traced, parts, strict=True):
            kept.append(part)


def _listed(state: State, name: str) -> list[Tensor]:
    count = sum(key.startswith(f"{name}.") for key in state)
    return [torch.from_numpy(state[f"{name}.{i}"]) for i in range(count)]


def unpack(tally: object, state: State) -> None:
    """Set the fields of a dataclass to what `packed` returned."""
    for field in fields(tally):  # pyright: ignore[reportArgumentType]
        if isinstance(getattr(tally, field.name), list):
            setattr(tally, field.name, _listed(state, field.name))
        else:
            setattr(tally, field.name, state[field.name].item())
