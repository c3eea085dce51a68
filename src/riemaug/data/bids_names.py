"""Names of a BIDS derivative: where a synthetic volume lies in it, and whether an output is one.

See the Brain Imaging Data Structure, "Common principles" (file names) and "Derivatives".
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Literal

from riemaug.errors import InvalidInputError

if TYPE_CHECKING:
    from riemaug.data.dataset import SampleFormat

Layout = Literal["folders", "bids"]
DATATYPES = ("anat", "func", "dwi", "perf", "fmap", "pet")
DEFAULT_COLUMN = "group"
_ALPHANUMERIC = re.compile(r"[A-Za-z0-9]+\Z")
_LONGEST_COLUMN = 200
_SYNTHETIC_SUBJECT, _REAL = "sub-syn", "desc-real"


@dataclass(frozen=True)
class BidsNames:
    """How a BIDS data set is laid out.

    Parameters
    ----------
    column : str
        Of participants.tsv that holds the class.
    suffix : str
        Last part of the volumes' names, such as T1w.
    datatype : str
        Folder of a subject in which they lie, such as anat.
    """

    column: str
    suffix: str
    datatype: str = "anat"

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "BidsNames":
        """Return the names that `asdict` described; InvalidInputError if they can be no names."""
        if not isinstance(fields, Mapping) or set(fields) != {"column", "suffix", "datatype"}:
            raise InvalidInputError(f"BIDS names lack or misstate a field: {fields!r}")
        column, suffix, datatype = fields["column"], fields["suffix"], fields["datatype"]
        plain = isinstance(column, str) and column.isprintable() and 0 < len(column) <= _LONGEST_COLUMN
        if not plain or not is_suffix(suffix) or datatype not in DATATYPES:
            raise InvalidInputError(f"BIDS names are impossible: {fields!r}")
        return cls(column, suffix, datatype)

    def file_name(self, number: int, extension: str) -> str:
        """Return the path of the `number`-th synthetic volume relative to the output folder."""
        subject = subject_name(number)
        return f"{subject}/{self.datatype}/{subject}_desc-synthetic_{self.suffix}{extension}"

    def real_stem(self, number: int, run: int | None) -> str:
        """Return the path, without extension, of a real volume of the `number`-th subject of no BIDS data.

        Parameters
        ----------
        number : int
        run : int, optional
            Which of the subject's volumes it is, where there are several.
        """
        subject = f"sub-real{number:04d}"
        which = "" if run is None else f"_run-{run}"
        return f"{subject}/{self.datatype}/{subject}{which}_{_REAL}_{self.suffix}"


def name_of_real(path: str) -> str:
    """Return what a volume of a BIDS data set is called beside synthetic ones; both without extension.

    The name says that it is real, where it does not describe the volume as something else already.
    """
    entities, _, suffix = path.rpartition("_")
    described = any(part.startswith("desc-") for part in entities.rpartition("/")[2].split("_"))
    return path if described else f"{entities}_{_REAL}_{suffix}"


def is_synthetic_subject(text: str) -> bool:
    """Tell whether a subject's name may be one of `subject_name`."""
    return text.startswith(_SYNTHETIC_SUBJECT)


def subject_name(number: int) -> str:
    """Return the name of the `number`-th synthetic subject."""
    return f"{_SYNTHETIC_SUBJECT}{number:04d}"


def is_suffix(text: object) -> bool:
    """Tell whether a text can be the suffix of a BIDS file."""
    return isinstance(text, str) and _ALPHANUMERIC.match(text) is not None


def first_numbers(fmt: "SampleFormat", counts: Sequence[int]) -> list[int]:
    """Return the number of the first file of each class: a folder each counts from 1, subjects go on."""
    if fmt.bids is None:
        return [1] * len(counts)
    return [1 + before for before in accumulate(counts, initial=0)][: len(counts)]


def laid_out(
    fmt: "SampleFormat", layout: Layout | None, source: BidsNames | None, suffix: str | None = None
) -> "SampleFormat":
    """Return the format with the layout of its output: as the input, or as it was asked for.

    Parameters
    ----------
    fmt : SampleFormat
    layout : {"folders", "bids"}, optional
        None: as the input.
    source : BidsNames, optional
        Of a BIDS input.
    suffix : str, optional
        Of the volumes, for an input that is not BIDS.

    Raises
    ------
    InvalidInputError
        BIDS is asked for what has no place in it, or without a suffix.
    """
    if layout == "folders" or (layout is None and source is None):
        return fmt
    if fmt.kind != "volumes":
        raise InvalidInputError("--layout bids is for NIfTI volumes, these are not: leave it out")
    if source is None:
        if not is_suffix(suffix):
            raise InvalidInputError(
                "--layout bids needs to know what the volumes are: give --bids-suffix, such as T1w"
            )
        source = BidsNames(DEFAULT_COLUMN, str(suffix))
    return replace(fmt, bids=source)
