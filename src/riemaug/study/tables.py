"""Tables 2 and 3: ours beside the paper's."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from riemaug.study.age import OLD, age_baselines
from riemaug.study.cells import FIXED_SPLIT, SPLITS, TABLE2_DATA, Cell, table2_cells, table3_cells
from riemaug.study.datasets import load_study_data
from riemaug.study.paper_values import paper_value
from riemaug.study.store import Result
from riemaug.study.summaries import Scores, Summary
from riemaug.study.table import Entry, Table

OLD_METRIC = f"balanced_accuracy_{OLD}"
AGE_ROWS = {
    "age_logistic": "logistic regression on age",
    "age_60": f"AD from {OLD} years on",
    "age_logistic_60": f"logistic regression on age, {OLD} or more",
}
_RUNS = {
    "draws": "each with its own draw of the real samples, generator and classifier seed",
    "paper": "one draw, one generator, another classifier seed each",
}
_NOTHING = (Entry(""), Entry(""))
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
    runs = _RUNS[reading]
    notes = [_LEGEND, f"Classifier: {classifier}. Runs: {runs}. Test: the original test sets."]
    if classifier != "densenet":
        notes.append("The paper's numbers are those of its DenseNet, for the trend.")
    return Table(f"Table 2, {classifier}: accuracy (%)", ["", *names], rows, notes)


def table3(
    results: Iterable[Result],
    data: str = "oasis_paper",
    reading: str = "draws",
    folder: Path | None = None,
) -> Table:
    """Return Table 3: balanced accuracy on OASIS, with what age alone says.

    Parameters
    ----------
    results : iterable of Result
    data : "oasis_paper" or "oasis_stratified"
    reading : "draws" or "paper"
    folder : Path, optional
        The files of OASIS; without them the rows of age alone are left out.
    """
    kept = list(results)
    kinds = ("mlp", "cnn", "densenet")
    columns, cells = [(data, kind) for kind in kinds], table3_cells(data, kinds[0])
    rows = _blocks(Scores(kept, "balanced_accuracy", reading), columns, cells)
    of_old = Scores(kept, OLD_METRIC, reading)
    rows.append([Entry(f"test subjects of {OLD} years or more")])
    for cell in cells:
        means = [of_old.summary(replace(cell, classifier=kind)) for kind in kinds]
        if any(means):
            shares = "" if cell.trained_on == "real" else f", {PARTS[cell.trained_on]}"
            own = [Entry("–") if mean is None else Entry(shown(mean)) for mean in means]
            rows.append([Entry(cell.row + shares), *(part for entry in own for part in (entry, *_NOTHING))])
    if folder is not None and oasis_is_there(folder):
        rows += _age_rows(
            data, folder, sorted({item.run.draw for item in kept if item.run.cell.data == data})
        )
    names = [name for kind in kinds for name in (kind, "paper", "diff.")]
    notes = [_LEGEND, f"Runs: {_RUNS[reading]}. Age alone stands in the first column; [n] are splits."]
    return Table(f"Table 3, {data}: balanced accuracy (%)", ["", *names], rows, notes)


def oasis_is_there(folder: Path) -> bool:
    """Return whether a folder has the files of OASIS."""
    return (folder / "oasis.npz").is_file() or (folder / "oasis").is_dir()


def _age_rows(data: str, folder: Path, draws: Sequence[int]) -> list[list[Entry]]:
    """Return what age alone scores, over the splits of the results, or else all of the data set."""
    chosen = draws or range(1 if data in FIXED_SPLIT else SPLITS[data])
    found = [age_baselines(load_study_data(data, draw, folder)) for draw in chosen]
    rows = [[Entry("age alone, no image")]]
    for name, text in AGE_ROWS.items():
        values = [100 * scores[name] for scores in found]
        spread = float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
        mean = Summary(float(np.mean(values)), spread, len(values))
        rows.append([Entry(text), Entry(shown(mean)), *_NOTHING, *([Entry("")] * 6)])
    return rows


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
