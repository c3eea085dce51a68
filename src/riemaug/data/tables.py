"""One table as a data set: its columns as numbers, one of them the labels."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int64

from riemaug.data.arrays import encode_labels
from riemaug.data.checks import check_class_sizes, check_variation, find_oddities
from riemaug.data.dataset import Dataset, SampleFormat
from riemaug.data.listing import quote_some
from riemaug.data.table_columns import CategoryColumn
from riemaug.data.table_dtypes import Frame, Series, dtype_kind
from riemaug.data.table_files import ReadTable, read_table_file
from riemaug.data.table_fit import check_names, level_column
from riemaug.data.table_layout import TableLayout
from riemaug.data.table_lookalikes import lookalike_of
from riemaug.data.table_missing import check_no_missing
from riemaug.data.table_names import may_identify, may_name_subjects, written_option
from riemaug.data.table_plan import TablePlan
from riemaug.errors import InvalidInputError
from riemaug.limits import DEFAULT_LIMITS, Limits

LABEL_NAMES = frozenset({"label", "class", "target", "y"})
"""One column with such a name holds the labels if none is named."""
GROUP_NAME = "group"


@dataclass(frozen=True)
class Roles:
    """Which columns hold the labels and the subjects, which are modelled, and which play no part."""

    label: str | int
    group: str | int | None
    features: tuple[str | int, ...]
    dropped: tuple[str | int, ...] = ()


def read_table(
    path: Path,
    *,
    label_from: str | None = None,
    group_from: str | None = None,
    drop_columns: Sequence[str] = (),
    missing: Sequence[str] | None = None,
    like: TableLayout | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Dataset:
    """Read a CSV or Parquet file, one sample a row.

    Parameters
    ----------
    path : Path
    label_from : str, optional
        The column that holds the labels; None takes the one called label, class, target or y.
    group_from : str, optional
        The column that names the subjects; "column" or None take the one called group.
    drop_columns : sequence of str
        Columns that are not read.
    missing : sequence of str, optional
        Texts of a CSV file's cells that are missing, beside empty ones; None takes those that pandas does.
    like : TableLayout, optional
        Of another table: the rows become the same numbers as its rows, other columns play no part.
    limits : Limits

    Raises
    ------
    InvalidInputError
        The file cannot be read, cells are missing, or a column cannot be modelled.
    ResourceError
        It does not fit the memory.
    """
    table = read_table_file(path, () if like is None else _text_columns(like), limits, missing)
    frame = table.frame
    check_names(frame)
    roles = find_roles(frame, label_from, group_from, drop_columns, strict=like is None)
    modelled = roles.features if like is None else [name for name in like.plan.names if name in frame.columns]
    needed = [name for name in (roles.label, roles.group) if name is not None]
    check_no_missing(path, table, [*needed, *(name for name in modelled if name not in needed)], missing)
    if like is None:
        layout = _layout(table, roles)
        notes = [*table.notes, *layout.plan.notes, *_notes_on_lookalikes(frame, layout)]
    else:
        layout, notes = like, list(table.notes)
        _check_columns(frame, like, path)
    numbers = layout.plan.to_numbers(frame)
    labels, values, names, layout = _classes(frame[roles.label], layout, like is None)
    notes += _unknown_levels(frame, layout) if like is not None else []
    groups, group_notes = _groups(frame, roles)
    return _dataset(numbers, labels, names, values, groups, layout, path, (*notes, *group_notes))


def _text_columns(layout: TableLayout) -> list[str | int]:
    """Return the columns of text: in another file they may look like numbers."""
    return [
        column.name for column in (*layout.plan.columns, layout.label) if dtype_kind(column.dtype) == "text"
    ]


def _dataset(
    numbers: Float64[np.ndarray, "n d"],
    labels: Int64[np.ndarray, " n"],
    class_names: tuple[str, ...],
    label_values: np.ndarray,
    groups: tuple[str, ...] | None,
    layout: TableLayout,
    path: Path,
    notes: tuple[str, ...],
) -> Dataset:
    names = tuple(f"row {row}" for row in range(len(numbers)))
    check_class_sizes(labels, class_names, "rows")
    check_variation(numbers, labels, class_names, "rows")
    odd = find_oddities(numbers, labels, class_names, names, "rows")
    fmt = SampleFormat(
        "table", numbers.shape[1:], "float64", path.suffix.casefold(), None, False, table=layout
    )
    return Dataset(numbers, labels, class_names, names, groups, fmt, label_values, (*notes, *odd))


def find_roles(
    frame: Frame,
    label_from: str | None,
    group_from: str | None,
    drop_columns: Sequence[str] = (),
    strict: bool = True,
) -> Roles:
    """Tell which columns are what; see `read_table`.

    Parameters
    ----------
    frame : pandas.DataFrame
    label_from, group_from, drop_columns
        See `read_table`.
    strict : bool
        Refuse columns to drop that are not there.

    Raises
    ------
    InvalidInputError
        A named column is not there, no column or several may hold the labels, or nothing is left to model.
    """
    names: list[str | int] = frame.columns.tolist()
    label = _label_column(names, label_from)
    group = _group_column(names, group_from)
    dropped = [_named(names, name, "--drop-columns") for name in drop_columns if strict or name in names]
    if group is not None and group == label:
        raise InvalidInputError(
            f"labels and subjects must be in two columns, {label!r} is both: correct --label-from or"
            " --group-from"
        )
    if label in dropped:
        raise InvalidInputError(
            f"--drop-columns must not name the label column {label!r}: leave it out there"
        )
    features = tuple(name for name in names if name not in (label, group, *dropped))
    if not features:
        raise InvalidInputError(
            f"a table needs a column beside the labels {label!r}, there is none: check the export"
        )
    return Roles(label, group, features, tuple(dropped))


def _label_column(names: Sequence[str | int], label_from: str | None) -> str | int:
    if label_from is not None:
        return _named(names, label_from, "--label-from")
    found = [name for name in names if str(name).strip().casefold() in LABEL_NAMES]
    if len(found) == 1:
        return found[0]
    told = quote_some([str(name) for name in names])
    if found:
        told = quote_some([str(name) for name in found])
        rule = "one column must hold the labels, several may"
    else:
        rule = "one column must hold the labels, none is called label, class, target or y"
    raise InvalidInputError(f"{rule} ({told}): name it with --label-from COLUMN")


def _group_column(names: Sequence[str | int], group_from: str | None) -> str | int | None:
    if group_from is not None and (group_from != "column" or group_from in names):
        return _named(names, group_from, "--group-from")
    found = [name for name in names if str(name).strip().casefold() == GROUP_NAME]
    if len(found) == 1:
        return found[0]
    if group_from == "column":
        raise InvalidInputError(
            "--group-from column needs a column group in the table, there is none: name the column of"
            " subjects"
        )
    return None


def _named(names: Sequence[str | int], wanted: str, option: str) -> str | int:
    of_text = {str(name): name for name in names}
    if wanted in of_text:
        return of_text[wanted]
    close = difflib.get_close_matches(wanted, list(of_text), 1)
    hint = f"did you mean {close[0]!r}?" if close else f"it has {quote_some(list(of_text))}"
    raise InvalidInputError(f"{option} must name a column of the table, {wanted!r} is none; {hint}")


def _check_columns(frame: Frame, layout: TableLayout, path: Path) -> None:
    """Refuse a table that lacks columns of the one that it is compared with."""
    lacking = [str(name) for name in layout.plan.names if name not in frame.columns]
    if not lacking:
        return
    group = next((name for name in lacking if may_name_subjects(name)), lacking[0])
    raise InvalidInputError(
        f"the table {str(path)!r} must have the columns of the one that it is compared with, it lacks"
        f" {quote_some(lacking)}: if the generator did not model them, give --group-from {group!r} for"
        " subjects or --drop-columns for others, as then; else add or rename them"
    )


def _layout(table: ReadTable, roles: Roles) -> TableLayout:
    plan = TablePlan.fit(table.frame[list(roles.features)])
    before = table.frame.columns.tolist().index(roles.label)
    position = sum(name in roles.features for name in table.frame.columns.tolist()[:before])
    label = level_column(table.frame[roles.label], roles.label)
    return TableLayout(plan, label, position, table.delimiter, table.decimal)


def _classes(
    series: Series, layout: TableLayout, is_own: bool
) -> tuple[Int64[np.ndarray, " n"], np.ndarray, tuple[str, ...], TableLayout]:
    """Return the class of each row, the classes' label values and names, and the layout in their order."""
    label = level_column(series, series.name)
    codes = label.codes(series)
    index, values, names = encode_labels(np.array(label.levels), repr(label.name))
    labels = index[codes]
    if not is_own:
        return labels, values, names, layout
    ordered = tuple(label.levels[code] for code in np.argsort(index).tolist())
    return labels, values, names, replace(layout, label=replace(label, levels=ordered))


def _unknown_levels(frame: Frame, layout: TableLayout) -> list[str]:
    notes = []
    for column in layout.plan.columns:
        if isinstance(column, CategoryColumn) and column.width:
            count = int((column.codes(frame[column.name]) < 0).sum())
            if count:
                notes.append(
                    f"{count} cells of column {str(column.name)!r} hold categories that the real samples"
                    " lack: they count as none of theirs."
                )
    return notes


def _groups(frame: Frame, roles: Roles) -> tuple[tuple[str, ...] | None, list[str]]:
    if roles.group is None:
        likely = [
            name
            for name in (*roles.features, *roles.dropped)
            if may_name_subjects(name) or may_identify(name)
        ]
        return None, [
            note for name in likely for note in _note_on_subjects(frame[name], name, name in roles.dropped)
        ]
    groups = tuple(str(value) for value in frame[roles.group].tolist())
    return groups, [f"{len(set(groups))} groups (subjects) were read from column {str(roles.group)!r}."]


def _note_on_subjects(series: Series, name: str | int, is_dropped: bool) -> list[str]:
    """Tell of a column that may name subjects: without it rows of one may train and test a model."""
    count, rows = int(series.nunique()), len(series)
    if not 1 < count < rows:
        return []
    left_out = " was left out, but" if is_dropped else ""
    note = (
        f"Column {str(name)!r}{left_out} may name subjects ({count} in {rows} rows): if so, give"
        f" {written_option('--group-from', name)}, and all rows of a subject stay on one side when data are"
        " held back."
    )
    return [note]


def _notes_on_lookalikes(frame: Frame, layout: TableLayout) -> list[str]:
    """Tell of categories that may have been meant as numbers or points in time."""
    notes = []
    for column in layout.plan.columns:
        if isinstance(column, CategoryColumn) and column.width and dtype_kind(column.dtype) == "text":
            alike = lookalike_of(frame[column.name])
            if alike is not None:
                notes.append(
                    f"Column {str(column.name)!r} is modelled as categories, it {alike.found}: if"
                    f" {alike.kind} are meant, {alike.fix}."
                )
    return notes
