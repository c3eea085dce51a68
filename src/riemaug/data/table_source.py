"""What is read of a table's file, and the refusals that files of any kind share."""

from dataclasses import dataclass
from pathlib import Path

from riemaug.data.table_dtypes import Frame
from riemaug.errors import InvalidInputError
from riemaug.limits import Limits

_OF_PARSER = "Error tokenizing data. C error: "


@dataclass(frozen=True, eq=False)
class ReadTable:
    """A table as its file holds it.

    Attributes
    ----------
    frame : pandas.DataFrame
    delimiter, decimal : str
        Of a CSV file.
    notes : tuple of str
        For the user.
    """

    frame: Frame
    delimiter: str = ","
    decimal: str = "."
    notes: tuple[str, ...] = ()


def unreadable(path: Path, kind: str, error: object, fix: str) -> InvalidInputError:
    """Return the refusal of a file over which its reader raised this error."""
    reason = " ".join(str(error).removeprefix(_OF_PARSER).split()) or type(error).__name__
    return InvalidInputError(f"{str(path)!r} must be a {kind} table, it cannot be read ({reason}): {fix}")


def check_table_size(path: Path, num_bytes: int, num_columns: int, limits: Limits) -> None:
    """Raise InvalidInputError for a table that is larger than the limits allow.

    Parameters
    ----------
    path : Path
    num_bytes : int
        Of the file, or of what it holds unpacked.
    num_columns : int
    limits : Limits
    """
    if num_bytes > limits.bytes:
        raise InvalidInputError(
            f"a table may have up to {limits.bytes / 2**30:.3g} GiB, {str(path)!r} has"
            f" {num_bytes / 2**30:.3g} GiB: give a part of it; {limits.way_out('bytes')}"
        )
    if num_columns > limits.columns:
        raise InvalidInputError(
            f"a table may have up to {limits.columns} columns, {str(path)!r} has {num_columns}: give a part"
            f" of them; {limits.way_out('columns')}"
        )
