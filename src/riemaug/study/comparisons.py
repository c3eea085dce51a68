"""What the study says: the paper's ordering tested, the baselines compared, the learning curve."""

import math
from collections.abc import Iterable

from riemaug.study.cells import (
    AMOUNTS,
    CURVE_SIZES,
    GENERATORS,
    TABLE2_DATA,
    Cell,
)
from riemaug.study.store import Result
from riemaug.study.summaries import PairedDifference, Scores
from riemaug.study.table import Entry, Table, entries
from riemaug.study.tables import shown

_PAIRED = (
    "Differences in percentage points between runs that share draw and seed, with 95 % t intervals; bold "
    "where the interval leaves out 0."
)


def orderings(results: Iterable[Result], classifier: str, reading: str = "draws") -> Table:
    """Return the paper's ordering (manifold above both priors) as paired differences, per data set."""
    scores = Scores(results, "accuracy", reading)
    rows = []
    for kind in ("synthetic", "both"):
        rows.append([Entry("new samples only" if kind == "synthetic" else "raw + new samples")])
        for amount in AMOUNTS:
            for other in ("rhvae_prior", "vae"):
                gaps = [
                    scores.difference(
                        Cell(data, classifier, f"manifold_{amount}", kind),
                        Cell(data, classifier, f"{other}_{amount}", kind),
                    )
                    for data in TABLE2_DATA
                ]
                rows.append([Entry(f"manifold_{amount} over {other}_{amount}"), *map(gap_entry, gaps)])
    header = ["", *(data.replace("_", " ") for data in TABLE2_DATA)]
    return Table(f"The paper's ordering, {classifier}", header, rows, [_PAIRED])


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
            cells = [Cell(f"{data}@{size}", "small-cnn", name, kind, transform) for size in CURVE_SIZES]
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
        return Entry(f"{gap.mean:+.1f} (one pair)")
    return Entry(f"{gap.mean:+.1f} ({gap.low:+.1f} to {gap.high:+.1f})", is_shaded=gap.is_clear)
