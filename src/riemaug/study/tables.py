"""Tables 2 and 3: ours beside the paper's."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

from riemaug.study.cells import TABLE2_DATA, Cell, table2_cells, table3_cells
from riemaug.study.paper_values import paper_value
from riemaug.study.store import Result
from riemaug.study.summaries import Scores, Summary
from riemaug.study.table import Entry, Table

PARTS = {"both": "raw + new samples", "synthetic": "new samples only"}
_LEGEND = (
    "Mean (standard deviation) in %, [runs]. The difference is ours minus the paper's; † outside the paper's "
    "mean ± 2 standard deviations. Shaded (bold): new samples alone score higher than the real ones."
)


def table2(results: Iterable[Result], classifier: str = "densenet", reading: str = "draws") -> Table:
    """Return Table 2: accuracy on the toy data sets.

    Parameters
    ----------
    results : iterable of Result
    classifier : str
        The paper's is "densenet"; of another the paper's numbers stand beside it, without marks.
    reading : "draws" or "paper"
    """
    scores = Scores(results, "accuracy", reading)
    columns = [(data, classifier) for data in TABLE2_DATA]
    names = [name for data in TABLE2_DATA for name in (data.replace("_", " "), "paper", "diff.")]
    rows = _blocks(scores, columns, table2_cells(TABLE2_DATA[0], classifier))
    runs = "each with its own draw and seed" if reading == "draws" else "one draw, five seeds"
    notes = [_LEGEND, f"Classifier: {classifier}. Runs: {runs}. Test: the original test sets."]
    if classifier != "densenet":
        notes.append("The paper's numbers are those of its DenseNet, for the trend.")
    return Table(f"Table 2, {classifier}: accuracy (%)", ["", *names], rows, notes)


def table3(results: Iterable[Result], data: str = "oasis_paper", reading: str = "draws") -> Table:
    """Return Table 3: balanced accuracy on OASIS.

    Parameters
    ----------
    results : iterable of Result
    data : "oasis_paper" or "oasis_stratified"
    reading : "draws" or "paper"
    """
    scores = Scores(results, "balanced_accuracy", reading)
    kinds = ("mlp", "cnn", "densenet")
    names = [name for kind in kinds for name in (kind, "paper", "diff.")]
    rows = _blocks(scores, [(data, kind) for kind in kinds], table3_cells(data, kinds[0]))
    return Table(f"Table 3, {data}: balanced accuracy (%)", ["", *names], rows, [_LEGEND])


def _blocks(scores: Scores, columns: Sequence[tuple[str, str]], cells: Sequence[Cell]) -> list[list[Entry]]:
    """Return the rows, those trained on new samples alone below a heading of their own."""
    rows = []
    for kind in ("real", "both", "synthetic"):
        if kind in PARTS:
            rows.append([Entry(PARTS[kind])])
        for cell in cells:
            if cell.trained_on == kind:
                rows.append([Entry(cell.row), *_fields(scores, cell, columns)])
    return rows


def _fields(scores: Scores, like: Cell, columns: Sequence[tuple[str, str]]) -> list[Entry]:
    fields = []
    for data, classifier in columns:
        cell = replace(like, data=data, classifier=classifier)
        fields += _compared(scores, cell)
    return fields


def _compared(scores: Scores, cell: Cell) -> list[Entry]:
    ours = scores.summary(cell)
    is_toy = not cell.data.startswith("oasis")
    paper = paper_value(cell.data, "densenet" if is_toy else cell.classifier, cell.row, cell.trained_on)
    comparable = cell.classifier == "densenet" or not is_toy
    beside = Entry("") if paper is None else Entry(f"{paper[0]:.1f} ({paper[1]:.1f})")
    if ours is None:
        return [Entry("–"), beside, Entry("")]
    raw = scores.summary(Cell(cell.data, cell.classifier, "raw", "real"))
    shaded = cell.trained_on == "synthetic" and raw is not None and ours.mean > raw.mean
    gap = Entry("") if paper is None else Entry(f"{ours.mean - paper[0]:+.1f}")
    outside = paper is not None and comparable and abs(ours.mean - paper[0]) > 2 * paper[1]
    return [Entry(shown(ours), outside, shaded), beside, gap]


def shown(summary: Summary) -> str:
    """Return mean, deviation and number of runs as text."""
    spread = "" if math.isnan(summary.deviation) else f" ({summary.deviation:.1f})"
    return f"{summary.mean:.1f}{spread} [{summary.count}]"
