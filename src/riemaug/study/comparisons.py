"""What the study says: the paper's ordering tested, the baselines compared, the learning curve."""

import math
from collections.abc import Iterable

from riemaug.study.cells import (
    AMOUNTS,
    CURVE_SIZES,
    GENERATORS,
    TABLE2_DATA,
    TABLE3_DATA,
    Cell,
    sized,
    table2_cells,
)
from riemaug.study.store import Result
from riemaug.study.summaries import PairedDifference, Scores, adjusted
from riemaug.study.table import Entry, Table, entries
from riemaug.study.tables import shown

LEVEL = 0.05
_TESTED = (
    "Differences in percentage points between runs that share draw and seeds, 95 % t intervals, and p-values "
    "of paired t tests adjusted for the whole table by Holm's rule; bold where that p is below 0.05."
)
_READING = {
    "draws": "each with its own draw of the real samples (its own split of OASIS; other seeds alone where "
    "there is one split)",
    "paper": "of one draw and one generator: what is said holds for these real samples only",
}
_PAIRED = (
    "Differences in percentage points between runs that share draw and seed, with 95 % t intervals; bold "
    "where the interval leaves out 0."
)


def orderings(
    results: Iterable[Result], classifier: str, reading: str = "draws", is_oasis: bool = False
) -> Table:
    """Return the paper's ordering as paired differences, per data set, with p-values of the whole table.

    On the toy sets the manifold's samples are compared with both priors', on OASIS with the VAE's and with
    the real samples alone.
    """
    scores = Scores(results, "balanced_accuracy" if is_oasis else "accuracy", reading)
    names = TABLE3_DATA if is_oasis else TABLE2_DATA
    others = ("vae", "raw") if is_oasis else ("rhvae_prior", "vae")
    labels: list[list[Entry]] = []
    gaps: list[list[PairedDifference | None]] = []
    for kind, heading in (("synthetic", "new samples only"), ("both", "raw + new samples")):
        labels.append([Entry(heading)])
        gaps.append([])
        for amount in AMOUNTS:
            for other in others:
                row = "raw" if other == "raw" else f"{other}_{amount}"
                labels.append([Entry(f"manifold_{amount} over {row}")])
                pairs = [
                    (
                        Cell(data, classifier, f"manifold_{amount}", kind),
                        Cell(data, classifier, row, "real" if row == "raw" else kind),
                    )
                    for data in names
                ]
                gaps.append([scores.difference(*pair) for pair in pairs])
    rows = [[*label, *fields] for label, fields in zip(labels, _with_p_values(gaps), strict=True)]
    notes = [
        _TESTED,
        f"Runs: {_READING[reading]}.",
    ]
    title = f"The paper's ordering, {classifier}" + (", OASIS" if is_oasis else "")
    return Table(title, ["", *(data.replace("_", " ") for data in names)], rows, notes)


def _with_p_values(gaps: list[list[PairedDifference | None]]) -> list[list[Entry]]:
    """Return differences as fields, their p-values adjusted for all of them."""
    flat = [float("nan") if gap is None else gap.p_value for row in gaps for gap in row]
    values = iter(adjusted(flat))
    return [[_tested(gap, next(values)) for gap in row] for row in gaps]


def _tested(gap: PairedDifference | None, p_value: float) -> Entry:
    if gap is None or math.isnan(p_value):
        return gap_entry(gap)
    return Entry(f"{gap_entry(gap).text}, p {p_value:.2g}", is_shaded=p_value < LEVEL)


def gains(results: Iterable[Result], classifier: str, reading: str = "draws") -> Table:
    """Return what each row of Table 2 gains over the real samples alone, beside them, per data set."""
    scores = Scores(results, "accuracy", reading)
    names = [cell.row for cell in table2_cells(TABLE2_DATA[0], classifier) if cell.trained_on == "both"]
    rows = [
        [
            Entry(name),
            *(
                gap_entry(
                    scores.difference(
                        Cell(data, classifier, name, "both"), Cell(data, classifier, "raw", "real")
                    )
                )
                for data in TABLE2_DATA
            ),
        ]
        for name in names
    ]
    title = f"Real and new samples over real ones alone, {classifier}"
    header = ["", *(data.replace("_", " ") for data in TABLE2_DATA)]
    return Table(title, header, rows, ["Accuracy in %.", _PAIRED, f"Runs: {_READING[reading]}."])


def baselines(results: Iterable[Result], data: str = "mnist_balanced", reading: str = "draws") -> Table:
    """Return all generators at 200 a class, alone, with real samples, and under affine + elastic."""
    scores = Scores(results, "accuracy", reading)
    names = ["raw", *(f"aug_x{factor}" for factor in (5, 10, 15)), *(f"{name}_200" for name in GENERATORS)]
    rows = []
    for name in names:
        kind = "real" if name == "raw" else "both"
        fields = [Entry(name), _mean(scores, Cell(data, "small-cnn", name, "synthetic"))]
        for transform in ("none", "affine-elastic"):
            cell = Cell(data, "small-cnn", name, kind, transform)
            raw = Cell(data, "small-cnn", "raw", "real", transform)
            fields += [
                _mean(scores, cell),
                gap_entry(scores.difference(cell, raw) if name != "raw" else None),
            ]
        rows.append(fields)
    mixed = Cell(data, "small-cnn", "raw", "real", "mixup")
    plain = Cell(data, "small-cnn", "raw", "real")
    rows.append(
        [
            Entry("raw, MixUp"),
            Entry("–"),
            _mean(scores, mixed),
            gap_entry(scores.difference(mixed, plain)),
            *entries("", ""),
        ]
    )
    header = [
        "",
        "new only",
        "raw + new",
        "over raw",
        "raw + new, affine + elastic",
        "over raw, affine + elastic",
    ]
    notes = ["Accuracy in %: mean (standard deviation) [runs], small CNN, 200 new samples a class.", _PAIRED]
    return Table(f"Baselines, {data.replace('_', ' ')}", header, rows, notes)


def learning_curve(results: Iterable[Result], data: str = "mnist_balanced", reading: str = "draws") -> Table:
    """Return accuracy over the number of real samples a class."""
    scores = Scores(results, "accuracy", reading)
    rows = []
    for transform in ("none", "affine-elastic"):
        rows.append([Entry("no transform" if transform == "none" else "affine + elastic in each batch")])
        for name in ("raw", "vae_200", "manifold_200", "conditional_200"):
            kind = "real" if name == "raw" else "both"
            cells = [Cell(sized(data, size), "small-cnn", name, kind, transform) for size in CURVE_SIZES]
            rows.append([Entry(name), *(_mean(scores, cell) for cell in cells)])
            if name != "raw":
                raws = [Cell(cell.data, "small-cnn", "raw", "real", transform) for cell in cells]
                gaps = [scores.difference(cell, raw) for cell, raw in zip(cells, raws, strict=True)]
                rows.append([Entry("  over raw"), *map(gap_entry, gaps)])
    header = ["real samples a class", *map(str, CURVE_SIZES)]
    notes = ["Accuracy in %: mean (standard deviation) [runs], small CNN, 200 new samples a class.", _PAIRED]
    return Table(f"Learning curve, {data.replace('_', ' ')}", header, rows, notes)


def _mean(scores: Scores, cell: Cell) -> Entry:
    summary = scores.summary(cell)
    return Entry("–") if summary is None else Entry(shown(summary))


def gap_entry(gap: PairedDifference | None) -> Entry:
    """Return a difference with its interval as a field."""
    if gap is None:
        return Entry("")
    if math.isinf(gap.low):
        return Entry(f"{gap.mean:+.1f} ({'one pair' if gap.count == 1 else 'equal gaps'})")
    return Entry(f"{gap.mean:+.1f} ({gap.low:+.1f} to {gap.high:+.1f})", is_shaded=gap.is_clear)
