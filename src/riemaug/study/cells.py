"""Cells of the study: which classifier, trained on what, is tested on which data set."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from riemaug.errors import InvalidInputError

CLASSIC = "aug_x"
GENERATORS: dict[str, tuple[str, str]] = {
    "vae": ("vae", "prior"),
    "vamp": ("vamp", "prior"),
    "rhvae_prior": ("rhvae", "prior"),
    "manifold": ("rhvae", "mixture"),
    "walk": ("rhvae", "walk"),
    "walk_paper": ("rhvae", "walk-paper"),
    "walk_paper_code": ("rhvae", "walk-paper-code"),
    "hmc": ("rhvae", "hmc"),
    "conditional": ("conditional", "mixture"),
    "latent_mixture": ("vae", "latent-gaussian-mixture"),
    "vae_metric": ("vae", "posterior-precision"),
    "latent_smote": ("vae", "latent-smote"),
    "smote": ("", "smote"),
}
"""Names of generated rows: the model that is fitted ("" for none) and the law that is drawn from."""

_ROW = re.compile(r"(?P<name>[a-z_]+?)_(?P<amount>[1-9]\d*)")


@dataclass(frozen=True)
class Row:
    """A training set of a table, as its name says.

    Attributes
    ----------
    name : str
        "raw", "aug_x5", or a generator and the new samples a class: "manifold_200".
    generator : str
        The key of `GENERATORS`; "" for "raw" and the classic rows.
    amount : int
        New samples a class; of a classic row the factor; 0 for "raw".
    """

    name: str
    generator: str
    amount: int

    @property
    def model(self) -> str:
        """The kind of model that must be fitted, "" for none."""
        return GENERATORS[self.generator][0] if self.generator else ""

    @property
    def law(self) -> str:
        """What new samples are drawn from: a law of `GENERATORS`, "classic", or "" for "raw"."""
        if self.generator:
            return GENERATORS[self.generator][1]
        return "classic" if self.amount else ""


def parse_row(name: str) -> Row:
    """Return the row of a name.

    Raises
    ------
    InvalidInputError
        No row has such a name.
    """
    if name == "raw":
        return Row(name, "", 0)
    if name.startswith(CLASSIC) and name.removeprefix(CLASSIC).isdigit():
        factor = int(name.removeprefix(CLASSIC))
        if factor in (5, 10, 15):
            return Row(name, "", factor)
    found = _ROW.fullmatch(name)
    if found and found["name"] in GENERATORS:
        return Row(name, found["name"], int(found["amount"]))
    raise InvalidInputError(
        f"a row is raw, aug_x5, aug_x10, aug_x15, or a generator ({', '.join(GENERATORS)}) with the new "
        f"samples a class, such as manifold_200, got {name!r}"
    )


@dataclass(frozen=True)
class Cell:
    """One number of a table: its runs are averaged.

    Attributes
    ----------
    data : str
        A data set of `riemaug.study.datasets`; "mnist_balanced@20" keeps 20 real training samples a class.
    classifier : str
    row : str
        See `parse_row`.
    trained_on : "real", "both" or "synthetic"
        "real" for "raw" alone.
    transform : "none", "affine-elastic" or "mixup"
        What changes the classifier's batches at random.
    """

    data: str
    classifier: str
    row: str
    trained_on: str
    transform: str = "none"

    @property
    def key(self) -> str:
        """The cell's name, as `--cells` matches it."""
        last = () if self.transform == "none" else (self.transform,)
        return "/".join((self.data, self.classifier, self.row, self.trained_on, *last))


@dataclass(frozen=True)
class Run:
    """One repetition of a cell.

    Attributes
    ----------
    cell : Cell
    draw : int
        Which real samples are drawn, or which split is taken.
    seed : int
        Of the classifier.
    model_seed : int
        Of the generator and its draws.
    """

    cell: Cell
    draw: int
    seed: int
    model_seed: int


READINGS = ("draws", "paper")
AMOUNTS = (200, 500, 1000, 2000)
TABLE2_DATA = ("mnist_balanced", "mnist_unbalanced", "emnist_unbalanced")
TABLE3_DATA = ("oasis_paper", "oasis_stratified")
CURVE_SIZES = (5, 10, 20, 40)
FIXED_SPLIT = ("oasis_paper",)
"""Data sets with one split: their runs differ by the seeds alone."""
SPLITS = {"oasis_stratified": 10}
"""Data sets with so many splits."""


def _generated(data: str, classifier: str, names: Iterable[str]) -> list[Cell]:
    return [Cell(data, classifier, name, kind) for name in names for kind in ("both", "synthetic")]


def table2_cells(data: str, classifier: str) -> list[Cell]:
    """Return the cells of a column of Table 2, with the paper's walk and ours beside."""
    rows = [f"{name}_{amount}" for amount in AMOUNTS for name in ("vae", "rhvae_prior", "manifold")]
    ours = [f"{name}_200" for name in ("walk_paper", "walk_paper_code", "walk", "vamp", "conditional")]
    classic = [Cell(data, classifier, f"{CLASSIC}{factor}", "both") for factor in (5, 10, 15)]
    return [
        Cell(data, classifier, "raw", "real"),
        *classic,
        *_generated(data, classifier, rows),
        *_generated(data, classifier, ours),
    ]


def table3_cells(data: str, classifier: str) -> list[Cell]:
    """Return the cells of a column of Table 3."""
    rows = [f"{name}_{amount}" for amount in AMOUNTS for name in ("vae", "manifold")]
    classic = [Cell(data, classifier, f"{CLASSIC}{factor}", "both") for factor in (5, 10, 15)]
    return [Cell(data, classifier, "raw", "real"), *classic, *_generated(data, classifier, rows)]


def baseline_cells(data: str) -> list[Cell]:
    """Return the cells of the baselines: all generators at 200 a class, alone and under affine + elastic."""
    cells = [Cell(data, "small-cnn", "raw", "real", "mixup")]
    for transform in ("none", "affine-elastic"):
        cells.append(Cell(data, "small-cnn", "raw", "real", transform))
        cells += [Cell(data, "small-cnn", f"{CLASSIC}{factor}", "both", transform) for factor in (5, 10, 15)]
        for name in GENERATORS:
            cells.append(Cell(data, "small-cnn", f"{name}_200", "both", transform))
    return cells + [Cell(data, "small-cnn", f"{name}_200", "synthetic") for name in GENERATORS]


def sized(data: str, size: int) -> str:
    """Return the name of a data set with `size` real training samples a class; a balanced one has 40."""
    return data if size == max(CURVE_SIZES) else f"{data}@{size}"


def curve_cells(data: str = "mnist_balanced") -> list[Cell]:
    """Return the cells of the learning curve over real samples a class."""
    cells = []
    for size in CURVE_SIZES:
        name = sized(data, size)
        for transform in ("none", "affine-elastic"):
            cells.append(Cell(name, "small-cnn", "raw", "real", transform))
            for row in ("vae_200", "manifold_200", "conditional_200"):
                cells.append(Cell(name, "small-cnn", row, "both", transform))
    return cells


GROUPS = ("table2", "table2-small", "table3", "baselines", "curve")


def cells_of(group: str) -> list[Cell]:
    """Return the cells of a part of the study; InvalidInputError if there is no such part."""
    if group == "table2":
        return [cell for data in TABLE2_DATA for cell in table2_cells(data, "densenet")]
    if group == "table2-small":
        return [cell for data in TABLE2_DATA for cell in table2_cells(data, "small-cnn")]
    if group == "table3":
        return [
            cell
            for data in TABLE3_DATA
            for kind in ("mlp", "cnn", "densenet")
            for cell in table3_cells(data, kind)
        ]
    if group == "baselines":
        return [cell for data in ("mnist_balanced", "fashion_balanced") for cell in baseline_cells(data)]
    if group == "curve":
        return curve_cells()
    raise InvalidInputError(f"a part of the study is one of {', '.join(GROUPS)}, got {group!r}")


def all_cells() -> list[Cell]:
    """Return every cell once, part by part."""
    return list(dict.fromkeys(cell for group in GROUPS for cell in cells_of(group)))


def select(patterns: Iterable[str]) -> list[Cell]:
    """Return the cells that any pattern names: a part, or a key with the wildcards * and ?.

    Raises
    ------
    InvalidInputError
        A pattern that names no cell.
    """
    chosen: dict[Cell, None] = {}
    everything = all_cells()
    for pattern in patterns:
        if pattern in GROUPS:
            found = cells_of(pattern)
        else:
            found = [cell for cell in everything if fnmatchcase(cell.key, pattern)]
        if not found:
            raise InvalidInputError(
                f"--cells takes a part ({', '.join(GROUPS)}) or names such as mnist_balanced/small-cnn/*, "
                f"got {pattern!r}, which names none: see riemaug study list"
            )
        chosen |= dict.fromkeys(found)
    return list(chosen)


def runs_of(cell: Cell, count: int, reading: str = "draws") -> list[Run]:
    """Return the runs of a cell.

    Parameters
    ----------
    cell : Cell
    count : int
    reading : "draws" or "paper"
        "draws": another draw of the real samples and other seeds each time, so that the spread holds for
        new data; no more than there are splits. "paper": one draw, one fit of the generator, another seed
        of the classifier each time.

    Raises
    ------
    InvalidInputError
        Another reading.
    """
    if reading not in READINGS:
        raise InvalidInputError(f"--reading is {' or '.join(READINGS)}, got {reading!r}")
    if reading == "paper":
        return [Run(cell, 0, number, 0) for number in range(count)]
    if cell.data in SPLITS:
        count = min(count, SPLITS[cell.data])
    fixed = cell.data in FIXED_SPLIT
    return [Run(cell, 0 if fixed else number, number, number) for number in range(count)]
