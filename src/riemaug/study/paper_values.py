"""The paper's numbers: means and standard deviations of its Tables 2 and 3."""

from riemaug.study.demographics import paper_tables

_CLASSIFIER_COLUMNS = ("mlp", "cnn", "densenet")


def paper_value(data: str, classifier: str, row: str, trained_on: str) -> tuple[float, float] | None:
    """Return the paper's mean and standard deviation of a cell, in %; None where it has none.

    Table 2 is of the DenseNet alone; Table 3 is of balanced accuracy.
    """
    if data.startswith("oasis"):
        if data != "oasis_paper" or classifier not in _CLASSIFIER_COLUMNS:
            return None
        table, column = paper_tables()["table3"], _CLASSIFIER_COLUMNS.index(classifier)
    else:
        table = paper_tables()["table2"]
        if data not in table["columns"] or classifier != "densenet":
            return None
        column = table["columns"].index(data)
    part = {"both": "raw_plus", "synthetic": "synthetic_only"}.get(trained_on)
    values = table["raw"] if row == "raw" else table[part].get(row) if part else None
    found = None if values is None else values[column]
    return None if found is None else (float(found[0]), float(found[1]))
