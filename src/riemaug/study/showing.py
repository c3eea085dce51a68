"""Which table a name stands for."""

from pathlib import Path

from riemaug.errors import InvalidInputError
from riemaug.evaluation.classifiers import CLASSIFIERS
from riemaug.study.cells import READINGS
from riemaug.study.comparisons import baselines, gains, learning_curve, orderings
from riemaug.study.demographic_table import demographic_table
from riemaug.study.settings import current
from riemaug.study.store import ResultStore
from riemaug.study.table import Table
from riemaug.study.tables import table2, table3

DATA_OF = {
    "table1": ("oasis_paper", "oasis_stratified"),
    "table3": ("oasis_paper", "oasis_stratified"),
    "baselines": ("mnist_balanced", "fashion_balanced"),
    "curve": ("mnist_balanced",),
    "orderings": ("toy", "oasis"),
}
"""What --data may name, the default first."""
TABLES = ("table1", "table2", "table3", "orderings", "gains", "baselines", "curve")


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
        Of "table2", "orderings" and "gains".
    data : str, optional
        Which one; see `DATA_OF`.
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
    _check(classifier, data, reading, name)
    if name == "table1":
        if folder is None:
            raise InvalidInputError("table1 counts subjects: give the folder of the OASIS files")
        return demographic_table(folder, data or "oasis_paper")
    results = current(ResultStore(store).results())
    if not results:
        raise InvalidInputError(f"{name} is made of results, {store} has none: see riemaug study run")
    if name == "table2":
        return table2(results, classifier, reading)
    if name == "orderings":
        return orderings(results, classifier, reading, is_oasis=(data or "").startswith("oasis"))
    if name == "gains":
        return gains(results, classifier, reading)
    if name == "table3":
        return table3(results, data or "oasis_paper", reading, folder)
    build = baselines if name == "baselines" else learning_curve
    return build(results, data or "mnist_balanced", reading)


def _check(classifier: str, data: str | None, reading: str, name: str) -> None:
    if reading not in READINGS:
        raise InvalidInputError(f"--reading is {' or '.join(READINGS)}, got {reading!r}")
    if classifier not in CLASSIFIERS:
        raise InvalidInputError(f"--classifier is one of {', '.join(CLASSIFIERS)}, got {classifier!r}")
    if data is not None and data not in DATA_OF.get(name, ()):
        allowed = ", ".join(DATA_OF.get(name, ())) or "nothing"
        raise InvalidInputError(f"--data of {name} may be {allowed}, got {data!r}")
