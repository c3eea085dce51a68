"""How the cells of a CSV file are typed, told by the bytes of all of them: the decimals, and codes."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

_BYTES_AT_ONCE = 2**22
_NEWLINES = b"\n\r"
_HEADER = re.compile(rb"[\n\r]*[^\n\r]*")


def decimal_sign(path: Path, delimiter: str) -> str:
    """Return the sign before the decimals of a CSV file.

    Parameters
    ----------
    path : Path
    delimiter : str
        What stands between its cells.

    Returns
    -------
    str
        A comma if it is no delimiter, a cell below the header is a number with one, and none is a number
        with a point; else a point.

    Raises
    ------
    OSError
        The file cannot be read.
    """
    if delimiter == ",":
        return "."
    comma, point = (_decimal_cell(sign, delimiter) for sign in (b",", b"."))
    with_comma = False
    for block in _blocks(path, skip_header=True):
        if b"." in block and point.search(block):
            return "."
        with_comma = with_comma or (b"," in block and comma.search(block) is not None)
    return "," if with_comma else "."


def _decimal_cell(sign: bytes, delimiter: str) -> re.Pattern[bytes]:
    around = re.escape(delimiter.encode()) + rb'\n\r"'
    return re.compile(
        rb"[" + around + rb"][ ]*[+-]?[0-9]*" + re.escape(sign) + rb"[0-9]+([eE][+-]?[0-9]+)?[ ]*"
        rb"(?=[" + around + rb"])"
    )


def may_hold_codes(path: Path, delimiter: str) -> bool:
    """Tell whether a cell of a CSV file may begin with a zero and another digit, as "007" does.

    No such cell is overlooked; times such as "2024-01-01 07:30" are taken for ones.

    Raises
    ------
    OSError
        The file cannot be read.
    """
    before = np.zeros(256, dtype=bool)
    before[list(delimiter.encode() + _NEWLINES + b'" \t')] = True
    return any(_has_code(np.frombuffer(block, np.uint8), before) for block in _blocks(path))


def _has_code(characters: UInt8[np.ndarray, " n"], before: np.ndarray) -> bool:
    """Tell whether a zero and a digit follow one of the characters in `before`, or a sign behind such."""
    zeros = np.flatnonzero(characters[2:-1] == ord("0")) + 2
    digits = characters[zeros + 1]
    zeros = zeros[(digits >= ord("0")) & (digits <= ord("9"))]
    signed = np.isin(characters[zeros - 1], list(b"+-")) & before[characters[zeros - 2]]
    return bool((before[characters[zeros - 1]] | signed).any())


def _blocks(path: Path, skip_header: bool = False) -> Iterator[bytes]:
    """Yield the file in blocks of whole lines, each between newlines."""
    with path.open("rb") as file:
        while block := file.read(_BYTES_AT_ONCE):
            block += file.readline()
            if skip_header:
                block, skip_header = _HEADER.sub(b"", block, count=1), False
            yield b"\n\n" + block + b"\n"
