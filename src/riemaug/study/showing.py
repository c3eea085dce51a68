"""Which table a name stands for."""

from pathlib import Path

from riemaug.errors import InvalidInputError
from riemaug.study.comparisons import baselines, learning_curve, orderings
from riemaug.study.demographic_table import demographic_table
from riemaug.study.store import ResultStore
from riemaug.study.table import Table
from riemaug.study.tables import table2, table3

TABLES = ("table1", "table2", "table3", "orderings", "baselines", "curve")


def table_named(
    name: str,
    store: Path,
    *,
    classifier: str = "densenet",
    data: str | None = None,
    reading: str = "draws",
    folder: Path | None = None,
) -> Table:
    """Return a table of the study.

    Parameters
    ----------
    name : str
        One of `TABLES`.
    store : Path
        The folder of results.
    classifier : str
        Of "table2" and "orderings".
    data : str, optional
        Of "table1", "table3", "baselines" and "curve".
    reading : "draws" or "paper"
    folder : Path, optional
        The data sets' files: "table1" needs them, "table3" shows what age alone says if it has them.

    Raises
    ------
    InvalidInputError
        No such table, or data sets' files that are missing.
    """
    if name not in TABLES:
        raise InvalidInputError(f"show takes one of {', '.join(TABLES)} or fig1 to fig4, got {name!r}")
    if name == "table1":
        if folder is None:
            raise InvalidInputError("table1 counts subjects: give the folder of the OASIS files")
        return demographic_table(folder, data or "oasis_paper")
    results = ResultStore(store).results()
    if name == "table2":
        return table2(results, classifier, reading)
    if name == "orderings":
        return orderings(results, classifier, reading)
    if name == "table3":
        return table3(results, data or "oasis_paper", reading, folder)
    build = baselines if name == "baselines" else learning_curve
    return build(results, data or "mnist_balanced", reading)
