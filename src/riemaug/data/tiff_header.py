"""What a TIFF file says its pixels are where Pillow does not open it, so that the refusal can name them."""

import struct
from pathlib import Path
from typing import BinaryIO

_BITS, _COMPRESSION, _CHANNELS, _NUMBERS = 258, 259, 277, 339
_DEFAULTS = {_BITS: (1,), _COMPRESSION: (1,), _CHANNELS: (1,), _NUMBERS: (1,)}
_SHORT = 3
_MOST_VALUES = 8
"""Of a tag: pixels of more channels than that are no picture."""
_UNSIGNED, _SIGNED, _FLOAT = 1, 2, 3
_WORDS = {_UNSIGNED: "integers", _SIGNED: "signed integers", _FLOAT: "floating-point numbers"}
_READABLE = {
    *((_UNSIGNED, bits) for bits in (1, 2, 4, 8, 12, 16, 32)),
    *((_SIGNED, bits) for bits in (8, 16, 32)),
    (_FLOAT, 32),
}
"""Of one channel; a file of these that is not opened is damaged, or packed in a way that is not read."""


def why_unread(path: Path) -> str | None:
    """Return which pixels of a TIFF file are of a kind that is not read, and what to do; else None.

    Only the header of the file is read, at most the first page's list of tags.

    Parameters
    ----------
    path : Path
        A file that Pillow does not take for an image.

    Returns
    -------
    str or None
        None for other files, damaged ones, and those whose pixels could be read were they stored otherwise.

    References
    ----------
    TIFF Revision 6.0 (Adobe, 1992), sections 2 and 19; BigTIFF has the same tags in a wider directory.
    """
    try:
        with path.open("rb") as file:
            tags = _DEFAULTS | _tags(file)
    except (OSError, struct.error, KeyError):
        return None
    bits, kinds, channels = tags[_BITS], tags[_NUMBERS], tags[_CHANNELS][0]
    if channels == 1 and (kinds[0], bits[0]) in _READABLE:
        return None
    if channels > 1 and set(kinds) == {_UNSIGNED} and max(bits) == 8:
        return None
    what = f"{max(bits)}-bit {_WORDS.get(kinds[0], 'numbers of an unknown kind')}"
    if channels > 1:
        fix = "8-bit colour, or as one channel a file"
        return f"pixels of {channels} channels of {what} cannot be read: save the file as {fix}"
    return f"pixels that are {what} cannot be read: save the file as 32-bit float or 16-bit grey TIFF"


def _tags(file: BinaryIO) -> dict[int, tuple[int, ...]]:
    """Return those tags of the first page that are asked for; KeyError or struct.error for other files."""
    head = file.read(16)
    order = {b"II": "<", b"MM": ">"}[head[:2]]
    is_big = {42: False, 43: True}[struct.unpack(f"{order}H", head[2:4])[0]]
    count_form, entry_form = (f"{order}Q", f"{order}HHQ8s") if is_big else (f"{order}H", f"{order}HHI4s")
    offset = struct.unpack(f"{order}Q", head[8:16]) if is_big else struct.unpack(f"{order}I", head[4:8])
    file.seek(min(offset[0], 2**62))
    (count,) = struct.unpack(count_form, file.read(struct.calcsize(count_form)))
    size = struct.calcsize(entry_form)
    entries = file.read(size * min(count, 2**16))
    found = {}
    for tag, kind, number, value in struct.iter_unpack(entry_form, entries[: len(entries) // size * size]):
        if tag in _DEFAULTS and kind == _SHORT and 0 < number <= _MOST_VALUES:
            found[tag] = _shorts(file, order, number, value)
    return found


def _shorts(file: BinaryIO, order: str, number: int, value: bytes) -> tuple[int, ...]:
    """Return the numbers of a tag, which stand in its place if they fit there, or else where it points."""
    form = f"{order}{number}H"
    size = struct.calcsize(form)
    if size <= len(value):
        return struct.unpack(form, value[:size])
    (place,) = struct.unpack(f"{order}{'Q' if len(value) == 8 else 'I'}", value)
    file.seek(min(place, 2**62))
    return struct.unpack(form, file.read(size))
