"""From a labelled data set to training, validation and test parts that share nothing."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Int64
from pydantic import BaseModel, ConfigDict, Field

from riemaug._version import __version__
from riemaug.data.leaks import check_no_leak
from riemaug.data.likeness import NEAR_CORRELATION, alike_sets, connect
from riemaug.data.split_output import TABLE_NAME, write_split
from riemaug.data.split_source import SplitSource, read_split_source
from riemaug.data.splits import PARTS, Shares, assign_parts
from riemaug.errors import InvalidInputError
from riemaug.limits import DEFAULT_LIMITS, Limits
from riemaug.random import Stream
from riemaug.run.staging import check_stage_out, staged_output


class SplitRequest(BaseModel):
    """Divide DATA into the parts of OUT.

    Attributes
    ----------
    data, out : Path
    train, val, test : float, int or None
        See `riemaug.data.Shares`.
    include, exclude, group_from, label_from, drop_columns, missing
        See `riemaug.data.read_dataset`.
    bids_suffix, participants, min_slices, nan
        See `riemaug.data.read_dataset`. Columns to drop play no part, but are written.
    near_duplicates : "together" or "ignore"
        Whether samples that are nearly the same stay in one part. Exact copies always do.
    skip_bad : bool
        Leave out files that cannot be read.
    how : "copy" or "link"
    seed : int
    limits : Limits
        How large files may be, and where links may lead.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    data: Path
    out: Path
    train: float | int | None = None
    val: float | int = 0.1
    test: float | int = 0.2
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    group_from: str | None = None
    label_from: str | None = None
    drop_columns: tuple[str, ...] = ()
    missing: tuple[str, ...] | None = None
    bids_suffix: str | None = None
    participants: Path | None = None
    min_slices: int | None = Field(default=None, ge=1)
    nan: float | None = None
    near_duplicates: Literal["together", "ignore"] = "together"
    skip_bad: bool = False
    how: Literal["copy", "link"] = "copy"
    seed: int = Field(default=0, ge=0)
    limits: Limits = DEFAULT_LIMITS


@dataclass(frozen=True, eq=False)
class PlannedSplit:
    """Who goes where, and what there is to say of it.

    Attributes
    ----------
    request : SplitRequest
    source : SplitSource
    parts : ndarray (n,)
        Index of each sample's part in `PARTS`.
    document : dict
        Seed, counts and notes, JSON-safe.
    """

    request: SplitRequest
    source: SplitSource
    parts: Int64[np.ndarray, " n"]
    document: dict[str, Any]


def plan_split(request: SplitRequest) -> PlannedSplit:
    """Read the data and decide who goes where; nothing is written.

    Raises
    ------
    InvalidInputError
        Data, shares or output folder break a rule.
    """
    check_stage_out(request.out, request.data)
    source = _read(request)
    signatures = source.signatures
    together = request.near_duplicates == "together"
    alike = alike_sets(signatures, near=together)
    units = alike if signatures.groups is None else connect(signatures.groups, alike)
    shares = Shares(request.train, request.val, request.test)
    parts = assign_parts(
        source.labels,
        signatures.names,
        source.class_names,
        shares,
        Stream(request.seed, ("split",)),
        units,
        source.what,
        "subjects"
        if signatures.groups
        else "sets of near duplicates (--near-duplicates ignore divides them)",
    )
    _check_contents(source, parts)
    _check_parts_apart(source, parts, near=together)
    notes = [*source.notes, *_alike_notes(source, alike, units)]
    document = _document(request, source, parts, shares) | {"notes": notes}
    return PlannedSplit(request, source, parts, document)


def _read(request: SplitRequest) -> SplitSource:
    source = read_split_source(
        request.data,
        skip_bad=request.skip_bad,
        include=request.include,
        exclude=request.exclude,
        group_from=request.group_from,
        label_from=request.label_from,
        drop_columns=request.drop_columns,
        missing=request.missing,
        bids_suffix=request.bids_suffix,
        participants=request.participants,
        min_slices=request.min_slices,
        nan=request.nan,
        limits=request.limits,
    )
    if request.how == "link" and source.file_suffix:
        raise InvalidInputError(
            f"--link is for folders of files, the rows of {str(request.data)!r} are copied: leave it out"
        )
    return source


def carry_out(plan: PlannedSplit) -> None:
    """Write the parts; a killed process leaves none, and the repeated command starts anew.

    Raises
    ------
    InvalidInputError
        The output folder is in use or cannot be written to, or links cannot be made.
    """
    with staged_output(plan.request.out, plan.request.data, TABLE_NAME) as folder:
        write_split(folder, plan.source, plan.parts, plan.request.how)


def _check_contents(source: SplitSource, parts: Int64[np.ndarray, " n"]) -> None:
    """Refuse a part that no command would read: a class of one sample that is there several times."""
    digests = [item.digest for item in source.signatures.items]
    for part, label in sorted(set(zip(parts.tolist(), source.labels.tolist(), strict=True))):
        rows = np.flatnonzero((parts == part) & (source.labels == label))
        if len({digests[row] for row in rows}) == 1:
            raise InvalidInputError(
                f"the {source.what} of a class must differ in each part, {PARTS[part]} would hold only copies"
                f" of {source.signatures.names[rows[0]]!r} in class {source.class_names[label]!r}: remove the"
                " copies"
            )


def _check_parts_apart(source: SplitSource, parts: Int64[np.ndarray, " n"], near: bool) -> None:
    """Put the result to the same test as any two data sets before a score."""
    taken = {
        name: source.signatures.take(np.flatnonzero(parts == part).tolist())
        for part, name in enumerate(PARTS)
        if (parts == part).any()
    }
    for first, second in combinations(taken, 2):
        check_no_leak(taken[first], taken[second], near=near, names=(first, second))


def _alike_notes(
    source: SplitSource, alike: Int64[np.ndarray, " n"], units: Int64[np.ndarray, " n"]
) -> Iterator[str]:
    """Tell of copies and near duplicates: they may be two scans of a subject, or wrong labels."""
    members = _sets_of_several(alike)
    if not members:
        return
    names, groups, labels = source.signatures.names, source.signatures.groups, source.labels
    first = members[0]
    yield (
        f"{sum(map(len, members))} {source.what} are copies or near duplicates (in {len(members)} sets, such"
        f" as {names[first[0]]!r} and {names[first[1]]!r}): those of a set are kept in one part."
        + ("" if groups else " If they are scans of one subject, give --group-from.")
    )
    crossing = [rows for rows in members if len(set(labels[rows].tolist())) > 1]
    if crossing:
        rows = crossing[0]
        other = next(row for row in rows if labels[row] != labels[rows[0]])
        yield (
            f"{len(crossing)} of these sets are in more than one class, such as {names[rows[0]]!r} and"
            f" {names[other]!r}: check the labels."
        )
    if groups is not None:
        merged = len(set(groups)) - len(np.unique(units))
        if merged:
            yield (
                f"Subjects with near duplicates of other subjects ({merged}) stay with these: check that"
                " nobody has two names."
            )


def _sets_of_several(numbers: Int64[np.ndarray, " n"]) -> list[list[int]]:
    """Return the rows of each set of two or more."""
    order = np.argsort(numbers, kind="stable")
    sets = np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1)
    return [rows.tolist() for rows in sets if len(rows) > 1]


def _document(
    request: SplitRequest, source: SplitSource, parts: Int64[np.ndarray, " n"], shares: Shares
) -> dict[str, Any]:
    groups = source.signatures.groups
    asked = shares.sizes(len(parts))
    return {
        "out": str(request.out),
        "riemaug_version": __version__,
        "seed": request.seed,
        "samples": len(parts),
        "groups": None if groups is None else len(set(groups)),
        "near_duplicates": request.near_duplicates,
        "near_correlation": NEAR_CORRELATION,
        "parts": {
            name: {
                "asked": asked[part],
                "samples": int((parts == part).sum()),
                "groups": None
                if groups is None
                else len({groups[row] for row in np.flatnonzero(parts == part)}),
                "classes": {
                    class_name: int(((parts == part) & (source.labels == index)).sum())
                    for index, class_name in enumerate(source.class_names)
                },
            }
            for part, name in enumerate(PARTS)
        },
    }
