"""Which part of a split each sample goes to: the shares of every class kept, no subject ever divided."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
import torch
from jaxtyping import Float, Int, Int64

from riemaug.data.checks import MIN_PER_CLASS
from riemaug.data.listing import quote_some, sort_key
from riemaug.errors import InvalidInputError
from riemaug.random import Stream

PARTS = ("train", "val", "test")
_RESTARTS = 8
_MOST_SWAPPED = 128
_LACKING = 1e6
"""Weight of a class that a part lacks: no deviation from the shares outweighs it."""
_LEAST_GAIN = 1e-9
_SHARE_ROUNDING = 1e-6


@dataclass(frozen=True)
class Shares:
    """How large the parts are to be.

    Attributes
    ----------
    train, val, test : float, int or None
        A float is a share of all samples in [0, 1], an int a number of samples; 0 leaves the part out.
        A train of None gets what the others leave.
    """

    train: float | int | None = None
    val: float | int = 0.1
    test: float | int = 0.2

    def sizes(self, num_samples: int) -> tuple[int, ...]:
        """Return how many samples train, val and test get in all.

        Raises
        ------
        InvalidInputError
            Shares outside [0, 1], numbers below 0, parts that do not add up to all samples, or fewer
            than two parts.
        """
        wanted = [_wanted(name, share, num_samples) for name, share in zip(PARTS, self._all(), strict=True)]
        if self.train is None:
            wanted[0] = num_samples - wanted[1] - wanted[2]
        slack = _SHARE_ROUNDING * max(num_samples, 1)
        if min(wanted) < -slack or abs(sum(wanted) - num_samples) > slack:
            told = " + ".join(str(share) for share in self._all() if share is not None)
            raise InvalidInputError(
                f"--train, --val and --test must add up to all {num_samples} samples, {told} is"
                f" {sum(wanted if self.train is not None else wanted[1:]):.6g}: give shares that add up to 1,"
                " or leave --train out, which then gets the rest"
            )
        sizes = _round_to_sum(np.maximum(wanted, 0.0), num_samples)
        if np.count_nonzero(sizes) < 2:
            raise InvalidInputError(
                "a split needs at least two parts that are not empty, --train, --val and --test of"
                f" {num_samples} samples give {' + '.join(map(str, sizes))}: give larger shares"
            )
        return tuple(int(size) for size in sizes)

    def _all(self) -> tuple[float | int | None, ...]:
        return self.train, self.val, self.test


def _wanted(name: str, share: float | int | None, num_samples: int) -> float:
    if share is None:
        return 0.0
    if isinstance(share, int):
        if share < 0:
            raise InvalidInputError(f"--{name} takes a number of samples of at least 0, got {share}")
        return float(share)
    if not 0 <= share <= 1:
        raise InvalidInputError(
            f"--{name} takes a share from 0 to 1 or a whole number of samples, got {share:g}"
        )
    return share * num_samples


def _round_to_sum(wanted: Float[np.ndarray, " k"], total: int) -> Int64[np.ndarray, " k"]:
    """Return whole numbers that add up to `total`, each less than 1 from what is wanted."""
    floors = np.floor(wanted + _SHARE_ROUNDING).astype(np.int64)
    # rounded, so that equal remainders are equal on any machine; the first of them is served first
    first = np.argsort(-np.round(wanted - floors, 6), kind="stable")
    floors[first[: total - int(floors.sum())]] += 1
    return floors


def part_targets(
    class_sizes: Sequence[int], class_names: Sequence[str], shares: Shares, what: str = "samples"
) -> Int64[np.ndarray, "parts classes"]:
    """Return how many samples of each class the parts are to get, (3, classes).

    The parts have the sizes asked for, and so have their classes up to rounding, except that each class
    has at least two samples in each part that is not left out.

    Parameters
    ----------
    class_sizes, class_names : sequence of int, of str
    shares : Shares
    what : str
        What a sample is called in messages.

    Raises
    ------
    InvalidInputError
        Impossible shares (see `Shares.sizes`), or a class with too few samples for the parts.
    """
    counts = np.asarray(class_sizes, dtype=np.int64)
    sizes = shares.sizes(int(counts.sum()))
    used = [part for part in range(len(PARTS)) if sizes[part]]
    needed = MIN_PER_CLASS * len(used)
    small = [f"{name} ({size})" for name, size in zip(class_names, class_sizes, strict=True) if size < needed]
    if small:
        have, them = ("has", "the class") if len(small) == 1 else ("have", "the classes")
        raise InvalidInputError(
            f"{len(used)} parts with {MIN_PER_CLASS} {what} of each class need {needed} in a class,"
            f" {quote_some(small)} {have} fewer: add {what}, leave {them} out{_without_val(used)}"
        )
    targets = np.zeros((len(PARTS), len(counts)), dtype=np.int64)
    for part in used[1:]:
        targets[part] = _round_to_sum(sizes[part] * counts / counts.sum(), sizes[part])
    targets[used[0]] = counts - targets.sum(0)
    for of_class in targets.T:
        _fill_up(of_class, used)
    return targets


def _without_val(used: Sequence[int]) -> str:
    return ", or give --val 0" if len(used) == len(PARTS) else ""


def _fill_up(of_class: Int64[np.ndarray, " parts"], used: Sequence[int]) -> None:
    """Move samples from the largest part to those with too few, in place."""
    while of_class[used].min() < MIN_PER_CLASS:
        of_class[used[int(of_class[used].argmin())]] += 1
        of_class[used[int(of_class[used].argmax())]] -= 1


def assign_parts(
    labels: Int[np.ndarray, " n"],
    names: Sequence[str],
    class_names: Sequence[str],
    shares: Shares,
    stream: Stream,
    units: Sequence[str] | Int[np.ndarray, " n"] | None = None,
    what: str = "samples",
    unit_name: str = "subjects",
) -> Int64[np.ndarray, " n"]:
    """Return the part of each sample, (n,): 0 for train, 1 for val, 2 for test.

    Samples that stand alone give exactly `part_targets`. Units of several come as near as the best of
    some random orders with exchanges gets. The result depends on the seed and the samples' names, not
    on their order.

    Parameters
    ----------
    labels : ndarray (n,)
        Index of each sample's class.
    names : sequence of str (n,)
        All different.
    class_names : sequence of str
    shares : Shares
    stream : Stream
        Draws the orders.
    units : sequence (n,), optional
        Samples with the same unit (subject, set of near duplicates) stay together, whatever their class.
        By default each sample is a unit of its own.
    what : str
        What a sample is called in messages.

    Raises
    ------
    InvalidInputError
        As `part_targets`, or units that leave a part without two samples of a class.
    """
    class_sizes = np.bincount(labels, minlength=len(class_names)).tolist()
    targets = part_targets(class_sizes, class_names, shares, what)
    order = np.array(sorted(range(len(names)), key=lambda row: sort_key(names[row])))
    unit = _numbered(np.arange(len(labels)) if units is None else np.asarray(units), order)
    contents = np.zeros((int(unit.max()) + 1, len(class_names)), dtype=np.int64)
    np.add.at(contents, (unit, labels), 1)
    used = np.flatnonzero(targets.sum(1))
    best, lowest = np.zeros(0, np.int64), np.inf
    for attempt in range(_RESTARTS):
        generator = stream.block(attempt).generator()
        found = _fill_parts(contents, targets[used], generator)
        cost = _exchange(contents, targets[used], found, generator)
        if cost < lowest:
            best, lowest = found, cost
        if lowest == 0:
            break
    part = used[best][unit]
    _check_parts(part, labels, unit, class_names, used, what, unit_name)
    return part


def _numbered(units: np.ndarray, order: Int[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
    """Return the units as 0, 1, ... in the order of their first samples."""
    _, first, index = np.unique(units[order], return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    unit = np.empty(len(order), dtype=np.int64)
    unit[order] = rank[index.reshape(-1)]
    return unit


def _fill_parts(
    contents: Int64[np.ndarray, "units classes"],
    targets: Int64[np.ndarray, "parts classes"],
    generator: torch.Generator,
) -> Int64[np.ndarray, " units"]:
    """Give each unit, in random order, to the part that lacks its classes most."""
    missing = targets.astype(np.float64)
    weights = contents / np.maximum(targets.sum(0), 1)
    part = np.zeros(len(contents), dtype=np.int64)
    for unit in torch.randperm(len(contents), generator=generator).tolist():
        part[unit] = int((missing @ weights[unit]).argmax())
        missing[part[unit]] -= contents[unit]
    return part


def _cost(
    counts: Float[np.ndarray, "*batch classes"],
    target: Int64[np.ndarray, " classes"],
    scale: Int64[np.ndarray, " classes"],
) -> Float[np.ndarray, "*batch"]:
    """Return how far a part is from its target, relative to the size of the classes."""
    lacking = np.maximum(MIN_PER_CLASS - counts, 0)
    return np.asarray((np.square(counts - target) / scale + _LACKING * np.square(lacking)).sum(-1))


def _exchange(
    contents: Int64[np.ndarray, "units classes"],
    targets: Int64[np.ndarray, "parts classes"],
    part: Int64[np.ndarray, " units"],
    generator: torch.Generator,
) -> float:
    """Move and swap units, in place, as long as the parts get nearer to their targets; return the cost."""
    scale = np.maximum(targets.sum(0), 1)
    counts = np.stack([contents[part == index].sum(0) for index in range(len(targets))]).astype(float)
    while True:
        costs = np.array([_cost(*item, scale) for item in zip(counts, targets, strict=True)])
        total = float(costs.sum())
        if total == 0:
            return total
        best = max(
            (
                _best_change(contents, targets[pair], counts[pair], part, pair, scale, generator)
                for pair in map(list, permutations(range(len(targets)), 2))
            ),
            key=lambda change: change.gain,
        )
        if best.gain <= _LEAST_GAIN * total:
            return total
        for unit, start, end in ((best.out, *best.pair), (best.back, *reversed(best.pair))):
            if unit >= 0:
                part[unit] = end
                counts[start] -= contents[unit]
                counts[end] += contents[unit]


@dataclass(frozen=True)
class _Change:
    """A unit `out` that leaves the first part of a pair for the second, `back` for it, or -1 for none."""

    gain: float
    pair: tuple[int, int]
    out: int
    back: int


def _best_change(
    contents: Int64[np.ndarray, "units classes"],
    targets: Int64[np.ndarray, "2 classes"],
    counts: Float[np.ndarray, "2 classes"],
    part: Int64[np.ndarray, " units"],
    pair: Sequence[int],
    scale: Int64[np.ndarray, " classes"],
    generator: torch.Generator,
) -> _Change:
    """Return the move or swap between two parts that brings them nearest to their targets."""
    first, second = pair
    leaving = _some(np.flatnonzero(part == first), generator)
    if not len(leaving):
        return _Change(-np.inf, (first, second), -1, -1)
    coming = np.append(_some(np.flatnonzero(part == second), generator), -1)
    arrivals = np.where(coming[:, None] >= 0, contents[coming], 0)
    gained = arrivals[None] - contents[leaving][:, None]
    after = _cost(counts[0] + gained, targets[0], scale) + _cost(counts[1] - gained, targets[1], scale)
    before = _cost(counts[0], targets[0], scale) + _cost(counts[1], targets[1], scale)
    out, back = np.unravel_index(int(after.argmin()), after.shape)
    return _Change(float(before - after[out, back]), (first, second), int(leaving[out]), int(coming[back]))


def _some(units: Int64[np.ndarray, " m"], generator: torch.Generator) -> Int64[np.ndarray, " k"]:
    """Return up to so many of the units, drawn where there are more."""
    if len(units) <= _MOST_SWAPPED:
        return units
    return units[torch.randperm(len(units), generator=generator).numpy()[:_MOST_SWAPPED]]


def _check_parts(
    part: Int64[np.ndarray, " n"],
    labels: Int[np.ndarray, " n"],
    unit: Int64[np.ndarray, " n"],
    class_names: Sequence[str],
    used: Int64[np.ndarray, " k"],
    what: str,
    unit_name: str,
) -> None:
    for index, name in enumerate(class_names):
        of_class = labels == index
        counts = np.bincount(part[of_class], minlength=len(PARTS))
        if counts[used].min() >= MIN_PER_CLASS:
            continue
        short = PARTS[int(used[counts[used].argmin()])]
        raise InvalidInputError(
            f"each part needs {MIN_PER_CLASS} {what} of each class, {short} cannot have them of class"
            f" {name!r}, whose {len(np.unique(unit[of_class]))} {unit_name} must stay whole: add more, leave"
            f" the class out{_without_val(used.tolist())}"
        )
