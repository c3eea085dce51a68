"""Reproducible randomness: a stream is a seed and a path of names, never the global generator.

The generator of a stream depends on nothing but its seed and path, so a class, a chain or a block
of samples draws the same numbers whichever process computes it, in whatever order.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch

_UINT32 = 0xFFFFFFFF


def _mix(value: int) -> int:
    """Scramble a 32-bit integer by a bijection (multiply-xorshift), so neighbours share no bits."""
    value &= _UINT32
    value = ((value ^ (value >> 16)) * 0x85EBCA6B) & _UINT32
    value = ((value ^ (value >> 13)) * 0xC2B2AE35) & _UINT32
    return value ^ (value >> 16)


@dataclass(frozen=True)
class Stream:
    """A named source of randomness.

    Parameters
    ----------
    seed : int
        The user's seed, any integer.
    path : tuple of str
        Names that tell apart what is drawn: purpose, class, ...
    index : int
        Number of the block or chain within the path. PyTorch's CPU generator keeps only 32 bits of
        its seed, so indices enter by a bijection: two blocks of one path never share a generator.
    """

    seed: int
    path: tuple[str, ...] = ()
    index: int = 0

    def child(self, *names: str) -> "Stream":
        """Return the stream below this one under `names`."""
        inherited = (f"#{self.index}",) if self.index else ()
        return Stream(self.seed, self.path + inherited + names)

    def block(self, index: int) -> "Stream":
        """Return the `index`-th numbered stream of this path (`index` >= 0)."""
        return replace(self, index=index + 1)

    def generator_seed(self) -> int:
        """Return the 32-bit seed of this stream's generator."""
        text = "\x1f".join([str(self.seed), *self.path])
        base = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
        return _mix(base + self.index)

    def generator(self, device: torch.device | str = "cpu") -> torch.Generator:
        """Return a fresh generator, always at the start of the stream."""
        return torch.Generator(device=device).manual_seed(self.generator_seed())

    @contextmanager
    def as_global(self, device: torch.device) -> Iterator[None]:
        """Within, PyTorch's global generators draw this stream; after it they are as they were.

        For a user's layers with noise of their own, such as dropout, which take no generator.
        """
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            # the global generators, on purpose: nothing else reaches such layers
            torch.manual_seed(self.generator_seed())
            yield


def as_stream(random_state: "int | Stream") -> Stream:
    """Return `random_state` itself if it is a stream, else the root stream of that seed."""
    return random_state if isinstance(random_state, Stream) else Stream(int(random_state))
