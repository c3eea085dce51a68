"""Samples that are in the training data and in the test data, too: a score on them means nothing."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from riemaug.data.dataset import Dataset
from riemaug.data.likeness import NEAR_CORRELATION, Signatures, near_pairs, standardised
from riemaug.errors import InvalidInputError

LeakKind = Literal["same image", "same row", "same subject", "near duplicate"]
_SHOWN = 3


@dataclass(frozen=True)
class Leak:
    """One sample of the test data that the training data tell of.

    Attributes
    ----------
    kind : str
        "same image" (the same values, whatever the file is called or how it is packed), of tables
        "same row", "same subject", or "near duplicate".
    train, test : str
        Names of the two samples; of several in the training data the most alike or first one.
    subject : str, optional
        Of "same subject": which one.
    correlation : float, optional
        Of "near duplicate": of the two.
    """

    kind: LeakKind
    train: str
    test: str
    subject: str | None = None
    correlation: float | None = None

    def __str__(self) -> str:
        found = self.kind
        if self.subject is not None:
            found += f" {self.subject!r}"
        if self.correlation is not None:
            found += f", correlation {self.correlation:.4f}"
        return f"{self.test!r} and {self.train!r} ({found})"


def find_leaks(
    train: Dataset | Signatures,
    test: Dataset | Signatures,
    *,
    near: bool = True,
    least_correlation: float = NEAR_CORRELATION,
) -> list[Leak]:
    """Return what of the test data is in the training data, too; at most one leak of each kind a sample.

    Parameters
    ----------
    train, test : Dataset or Signatures
        Subjects are compared where both know their `groups`.
    near : bool
        Also look for near duplicates. Not for tables, whose rows may all correlate.
    least_correlation : float
        From here on two samples are near duplicates, after both were averaged down to at most 64 x 64
        (volumes: 32 x 32 x 32) values.

    Returns
    -------
    list of Leak
        Same images or rows, then subjects, then near duplicates, each in the order of the test data.
    """
    first, second = (item if isinstance(item, Signatures) else Signatures.of(item) for item in (train, test))
    leaks = [*_same_samples(first, second), *_same_subjects(first, second)]
    if near:
        identical = {leak.test for leak in leaks if leak.kind in ("same image", "same row")}
        leaks += [
            leak for leak in _near_duplicates(first, second, least_correlation) if leak.test not in identical
        ]
    return leaks


def check_no_leak(
    train: Dataset | Signatures,
    test: Dataset | Signatures,
    *,
    near: bool = True,
    least_correlation: float = NEAR_CORRELATION,
    names: tuple[str, str] = ("the training data", "the test data"),
) -> None:
    """Refuse to go on where test data are in the training data, too.

    Parameters
    ----------
    train, test, near, least_correlation
        See `find_leaks`.
    names : tuple of str
        What the two are called in the message.

    Raises
    ------
    InvalidInputError
        Samples of the test data are in the training data, are nearly so, or are of the same subject; the
        message says how many and names some.
    """
    leaks = find_leaks(train, test, near=near, least_correlation=least_correlation)
    if not leaks:
        return
    count = len({leak.test for leak in leaks})
    # one of each kind comes first: they need different remedies
    kinds = {leak.kind: leak for leak in reversed(leaks)}
    firsts = [leak for leak in leaks if kinds[leak.kind] is leak]
    shown = (firsts + [leak for leak in leaks if leak not in firsts])[:_SHOWN]
    more = f" and {len(leaks) - len(shown)} more" if len(leaks) > len(shown) else ""
    raise InvalidInputError(
        f"{names[0]} and {names[1]} must share nothing, {count} of the {len(test.names)} samples of"
        f" {names[1]} have a counterpart in {names[0]}: {'; '.join(map(str, shown))}{more}: remove them from"
        " one side, or split anew with riemaug split"
    )


def _same_samples(train: Signatures, test: Signatures) -> Iterator[Leak]:
    known = {
        item.digest: name for item, name in zip(reversed(train.items), reversed(train.names), strict=True)
    }
    for item, name in zip(test.items, test.names, strict=True):
        if item.digest in known:
            yield Leak("same row" if item.is_row else "same image", known[item.digest], name)


def _same_subjects(train: Signatures, test: Signatures) -> Iterator[Leak]:
    if train.groups is None or test.groups is None:
        return
    known = dict(zip(reversed(train.groups), reversed(train.names), strict=True))
    for group, name in zip(test.groups, test.names, strict=True):
        if group in known:
            yield Leak("same subject", known[group], name, subject=group)


def _near_duplicates(train: Signatures, test: Signatures, least: float) -> Iterator[Leak]:
    known, asked = standardised([train, test])
    best = np.zeros(len(test))
    nearest = np.zeros(len(test), dtype=np.int64)
    for rows, others, correlation in near_pairs(asked, known, least):
        for row, other, value in zip(rows, others, correlation, strict=True):
            if value > best[row]:
                best[row], nearest[row] = value, other
    for row in np.flatnonzero(best):
        yield Leak(
            "near duplicate",
            train.names[nearest[row]],
            test.names[row],
            correlation=min(1.0, float(best[row])),
        )
