"""What becomes of columns that perhaps should not be modelled, and how messages say to leave one out."""

from riemaug.errors import InvalidInputError


class ColumnRules:
    """The rules of the command line: columns that seem to identify rows, or hold too much, are refused."""

    leave_out = "leave it out with --drop-columns"
    leave_all_out = "leave the columns out with --drop-columns"
    """Of one column, and of several that a message names."""

    def doubt(self, found: str, mend: str, leave_out: str) -> None:
        """Decide on a column that could be modelled, but that hardly should be.

        Parameters
        ----------
        found : str
            The rule, and what was found.
        mend, leave_out : str
            What can be done about it anywhere, and on the command line; one may be empty.

        Raises
        ------
        InvalidInputError
            Here: always.
        """
        raise InvalidInputError(f"{found}: {'; or '.join(filter(None, (mend, leave_out)))}")


class EstimatorRules(ColumnRules):
    """The rules of estimators: such columns are modelled, and noted.

    Which rows an estimator gets is the business of cross-validation: a column must not be taken in one fold
    and refused in the next.

    Attributes
    ----------
    doubts : list of str
        What was found.
    """

    leave_out = "drop it from X"
    leave_all_out = "drop these columns from X"

    def __init__(self) -> None:
        self.doubts: list[str] = []

    def doubt(self, found: str, mend: str, leave_out: str) -> None:
        """Note what was found."""
        fix = f"{mend}, or drop it from X," if mend else "drop it from X"
        self.doubts.append(f"{found}: it is modelled all the same; {fix} if that is not meant")


COMMAND_LINE = ColumnRules()
