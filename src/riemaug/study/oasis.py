"""OASIS-1 cross-sectional: slices and demographics of the 416 subjects, and the study's splits of them."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int64, Shaped, UInt8

from riemaug.data.splits import Shares, assign_parts
from riemaug.errors import InvalidInputError
from riemaug.random import Stream
from riemaug.study.committed import committed
from riemaug.study.sources import Form, grey_images, read_first, read_npz

LABELS = ("CN", "AD")
SAME_HEAD = (79, 193)
"""Subjects whose slices look like two scans of one head (docs/split.md): they stay in one part."""
SIZES = {"CN": (220, 32, 64), "AD": (70, 10, 20)}
"""Training, validation and test subjects of a stratified split: 290, 42 and 84 in all, as the paper's."""
AGE_BOUNDS = {"CN": (30, 45, 60, 70, 80), "AD": (70, 75, 80)}
"""Ages at which the strata of a stratified split begin, the first of them at birth."""
_SLICE = "t88_masked_gfc_tra_90.gif"
_ARRAYS = ("images", "subject_id", "age", "sex", "mmse", "cdr")


@dataclass(frozen=True, eq=False)
class Subjects:
    """The subjects of OASIS-1, one slice each, in the order of their numbers.

    Attributes
    ----------
    images : ndarray (n, 208, 176) of uint8
    numbers : ndarray (n,) of int64
        1 stands for OAS1_0001.
    ages : ndarray (n,) of int64
        Years.
    sexes : ndarray (n,) of str
        "F" or "M".
    mmse, cdr : ndarray (n,) of float32
        Mini-mental state examination and clinical dementia rating; NaN where not given.
    """

    images: UInt8[np.ndarray, "n height width"]
    numbers: Int64[np.ndarray, " n"]
    ages: Int64[np.ndarray, " n"]
    sexes: Shaped[np.ndarray, " n"]
    mmse: Float32[np.ndarray, " n"]
    cdr: Float32[np.ndarray, " n"]

    @property
    def labels(self) -> Int64[np.ndarray, " n"]:
        """Numbers of the classes: AD (1) where the rating is above 0, else CN (0), as in the paper."""
        return (self.cdr > 0).astype(np.int64)

    def __len__(self) -> int:
        return len(self.numbers)


def read_oasis(folder: Path) -> Subjects:
    """Return the subjects from `oasis.npz`, or from the gif slices and the csv file of the distribution.

    Only the first session of a subject is read. See `riemaug.study.sources.read_first` for errors.
    """
    return read_first("oasis", _FORMS, folder)


def oasis_is_there(folder: Path) -> bool:
    """Return whether a folder has OASIS in one of the forms that `read_oasis` reads."""
    return any(form.found(folder) for form in _FORMS)


def oasis_rows(name: str, draw: int, subjects: Subjects) -> dict[str, Int64[np.ndarray, " k"]]:
    """Return the rows of training, validation and test subjects in a committed split.

    Parameters
    ----------
    name : str
        "oasis_paper", which has the counts of the paper's Table 1 and only draw 0, or "oasis_stratified".
    draw : int
    subjects : Subjects

    Raises
    ------
    InvalidInputError
        There is no such split, or some of its subjects are absent.
    """
    splits = committed(name)["draws"]
    if str(draw) not in splits:
        raise InvalidInputError(f"{name} has the draws 0 to {len(splits) - 1}, got {draw}")
    rows = {}
    for part, numbers in splits[str(draw)].items():
        absent = np.setdiff1d(numbers, subjects.numbers)
        if len(absent):
            raise InvalidInputError(
                f"{name} needs all 416 subjects of OASIS-1, {len(absent)} of its {part} part are absent, the"
                f" first is OAS1_{absent[0]:04d}: add their first sessions (MR1) and rows of the csv file"
            )
        rows[part] = np.searchsorted(subjects.numbers, np.sort(numbers)).astype(np.int64)
    return rows


def stratified_parts(subjects: Subjects, stream: Stream) -> Int64[np.ndarray, " n"]:
    """Return the part of each subject, 0, 1 or 2, stratified by label and age.

    Each label has the sizes of `SIZES`, and up to rounding the same shares of each stratum of ages;
    `SAME_HEAD` stay together.
    """
    parts = np.empty(len(subjects), dtype=np.int64)
    units = np.where(subjects.numbers == SAME_HEAD[1], SAME_HEAD[0], subjects.numbers)
    for label, name in enumerate(LABELS):
        rows = np.flatnonzero(subjects.labels == label)
        strata = np.digitize(subjects.ages[rows], AGE_BOUNDS[name])
        names = [f"{name} of ages {low} to {high}" for low, high in _age_ranges(AGE_BOUNDS[name])]
        parts[rows] = assign_parts(
            strata,
            [f"OAS1_{number:04d}" for number in subjects.numbers[rows]],
            names,
            Shares(*SIZES[name]),
            stream.child(name),
            units[rows],
            what="subjects",
            unit_name="heads",
        )
    return parts


def numbers_by_part(subjects: Subjects, parts: Int64[np.ndarray, " n"]) -> dict[str, list[int]]:
    """Return the numbers of the subjects of each part, as committed files hold them."""
    names = ("train", "validation", "test")
    return {name: subjects.numbers[parts == part].tolist() for part, name in enumerate(names)}


def _age_ranges(bounds: Sequence[int]) -> list[tuple[int, int]]:
    return list(zip((0, *bounds), (*(bound - 1 for bound in bounds), 120), strict=True))


def _numbers(identifiers: Sequence[str], path: Path) -> Int64[np.ndarray, " n"]:
    try:
        return np.array([int(identifier.split("_")[1]) for identifier in identifiers], dtype=np.int64)
    except (IndexError, ValueError):
        raise InvalidInputError(
            f"{path} must name subjects such as OAS1_0001, it does not: get the csv file of OASIS-1"
            " cross-sectional"
        ) from None


def _from_npz(paths: Sequence[Path]) -> Subjects:
    images, identifiers, ages, sexes, mmse, cdr = read_npz(paths[0], _ARRAYS).values()
    numbers = _numbers(identifiers.tolist(), paths[0])
    order = np.argsort(numbers)
    return Subjects(
        images[order],
        numbers[order],
        ages[order].astype(np.int64),
        sexes[order],
        mmse[order].astype(np.float32),
        cdr[order].astype(np.float32),
    )


def _from_distribution(paths: Sequence[Path]) -> Subjects:
    table = paths[0]
    slices = {path.name[: len("OAS1_0001_MR1")]: path for path in sorted(table.parent.rglob(f"*{_SLICE}"))}
    rows = sorted(
        (row for row in _read_csv(table) if row["ID"].endswith("_MR1") and row["ID"] in slices),
        key=lambda row: row["ID"],
    )
    if not rows:
        raise InvalidInputError(
            f"slices named OAS1_0001_MR1_..._{_SLICE} must lie below {table.parent}, none is there: unpack"
            f" the discs of OASIS-1 beside {table.name}"
        )
    return Subjects(
        grey_images([slices[row["ID"]] for row in rows]),
        _numbers([row["ID"] for row in rows], table),
        np.array([int(row["Age"]) for row in rows], dtype=np.int64),
        np.array([row["M/F"] for row in rows], dtype="<U1"),
        _optional([row["MMSE"] for row in rows]),
        _optional([row["CDR"] for row in rows]),
    )


def _read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    needed = {"ID", "M/F", "Age", "MMSE", "CDR"}
    if not rows or not needed <= set(rows[0]):
        raise InvalidInputError(
            f"{path} must have rows and the columns {', '.join(sorted(needed))}, as the csv file of OASIS-1"
            " cross-sectional has: download it again"
        )
    return rows


def _optional(texts: Sequence[str]) -> Float32[np.ndarray, " n"]:
    return np.array(
        [float(text) if text.strip() not in ("", "N/A") else np.nan for text in texts], np.float32
    )


_FORMS = (
    Form(("oasis.npz",), (".",), _from_npz),
    Form(("oasis_cross-sectional.csv",), ("oasis", "."), _from_distribution),
)
