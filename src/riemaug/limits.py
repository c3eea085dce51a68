"""How much a file of unknown origin may ask for, and where links in a data folder may lead.

Every reader compares what a file promises with these numbers before it takes memory for it. The command
line takes them as `--limit NAME=VALUE` and `--follow-links`, a TOML file as a table `[limit]`, Python as
`riemaug.data.read_dataset(path, limits=Limits(...))`.
"""

import os
import re
from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from riemaug.errors import InvalidInputError
from riemaug.nearest import did_you_mean

JSON_BYTES = 2**25
"""Most bytes of a JSON file of ours or of a peer; parsed it may take 25 times as much memory."""
CONFIG_BYTES = 2**20
"""Most bytes of a TOML file with options."""
_GIVEN = re.compile(r"\s*([a-z-]+)\s*=\s*(\d[\d_]*)\s*([kMGT]?)\s*\Z")
_SCALES = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


class Limits(BaseModel):
    """The most that one file may hold, and whether links may lead out of the data.

    Attributes
    ----------
    pixels : int
        Pixels of a picture, of all pages of a stack, or of a DICOM slice; voxels of a volume; values of an
        npy file.
    pages : int
        Pages or frames of a TIFF, GIF or PNG file.
    bytes : int
        Bytes, unpacked, of the arrays of an npz file or of a table.
    columns : int
        Columns of a table.
    text_bytes : int
        Bytes of a metadata.csv, participants.tsv or manifest.csv.
    follow_links : bool
        Whether links to folders outside the data folder are followed. Links to files always are: the
        commands `split --link` and `augment --include-real link` make such.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    pixels: int = Field(default=2**27, ge=1)
    pages: int = Field(default=10_000, ge=1)
    bytes: int = Field(default=2**33, ge=1)
    columns: int = Field(default=100_000, ge=1)
    text_bytes: int = Field(default=2**27, ge=1)
    follow_links: bool = False

    def way_out(self, name: str) -> str:
        """Return how a user who trusts a file raises a limit."""
        return f"if you trust the file raise the limit with --limit {name.replace('_', '-')}=NUMBER"


DEFAULT_LIMITS = Limits()
LIMIT_NAMES = tuple(name.replace("_", "-") for name in Limits.model_fields if name != "follow_links")


def parse_limits(given: Iterable[str] = (), follow_links: bool = False) -> Limits:
    """Return limits from texts "NAME=VALUE"; k, M, G and T after a number count by thousands.

    Raises
    ------
    InvalidInputError
        A text of another form, a name that is none of `LIMIT_NAMES` or is there twice, or zero.
    """
    found: dict[str, int] = {}
    for text in given:
        match, name = _GIVEN.match(text), text.partition("=")[0].strip()
        if match is None or match[1] not in LIMIT_NAMES or len(match[2]) > 18:
            raise InvalidInputError(
                f"--limit takes NAME=NUMBER with a name of {', '.join(LIMIT_NAMES)}, such as pixels=500M, got"
                f" {text!r}{did_you_mean(name, LIMIT_NAMES) if name not in LIMIT_NAMES else ''}"
            )
        name = name.replace("-", "_")
        if name in found:
            raise InvalidInputError(f"--limit takes each name once, {match[1]} is there twice: leave one out")
        found[name] = int(match[2].replace("_", "")) * _SCALES[match[3]]
    try:
        return Limits(**found, follow_links=follow_links)
    except ValidationError:
        raise InvalidInputError("--limit takes numbers of at least 1, got 0: leave it out") from None


def read_text_table(path: Path, limits: Limits) -> str:
    """Return the text of a metadata.csv, participants.tsv or manifest.csv.

    Raises
    ------
    InvalidInputError
        It cannot be read, is no UTF-8, or is larger than `limits.text_bytes`.
    """
    try:
        content = read_bounded(path, limits.text_bytes, path.name, limits.way_out("text_bytes"))
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidInputError(f"{str(path)!r} must be UTF-8 text: save it as CSV UTF-8") from None
    except OSError as error:
        raise InvalidInputError(f"{str(path)!r} cannot be read: {error.strerror}") from None


def read_bounded(path: Path, most: int, rule: str, fix: str = "is it what it should be?") -> bytes:
    """Return the bytes of a file that is not to be larger than `most`; no more than that is read.

    Parameters
    ----------
    path : Path
    most : int
        Bytes.
    rule : str
        What is limited, as the beginning of a sentence: "model.json".
    fix : str
        The end of that sentence.

    Raises
    ------
    InvalidInputError
        The file is larger.
    OSError
        It cannot be read.
    """
    with path.open("rb") as file:
        # of a pipe or a device the size is not known before it is read
        content = b"" if os.fstat(file.fileno()).st_size > most else file.read(most + 1)
        is_larger = len(content) > most or os.fstat(file.fileno()).st_size > most
    if is_larger:
        raise InvalidInputError(f"{rule} may have up to {most:,} bytes, {str(path)!r} has more: {fix}")
    return content
