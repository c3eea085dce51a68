"""The arrays of an npz file: those that are stored as they are stay on disk, compressed ones are unpacked."""

import lzma
import struct
import zipfile
import zlib
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from riemaug.data.checks import check_memory
from riemaug.data.npy_header import HEADER_ERRORS, NpyHeader, read_npy_header
from riemaug.errors import InvalidInputError
from riemaug.limits import DEFAULT_LIMITS, Limits

_SUFFIX = ".npy"
_MOST_MEMBERS = 10_000
_READ_ERRORS = (*HEADER_ERRORS, zipfile.BadZipFile, RuntimeError, zlib.error, lzma.LZMAError)
_LOCAL_HEADER = struct.Struct("<26xHH")
"""Of a member (APPNOTE 4.3.7): 30 bytes, the last of them the lengths of its name and of an extra field, both
of which follow; the extra field may differ from the one in the directory at the end of the file."""
_BLOCK = 2**20


@dataclass(frozen=True)
class NpzMember:
    """One array of an npz file.

    Attributes
    ----------
    header : NpyHeader
        What it promises.
    offset : int or None
        Where its values begin in the file; None where they are compressed.
    """

    header: NpyHeader
    offset: int | None

    @property
    def needed_bytes(self) -> int:
        """Bytes of memory for the values as `riemaug.data.arrays` wants them, in C order and native bytes."""
        dtype = self.header.dtype
        stays_on_disk = self.offset is not None and not self.header.fortran_order and dtype.isnative
        return 0 if stays_on_disk else self.header.promised_bytes


def read_members(path: Path) -> dict[str, NpzMember]:
    """Return what each array of the file claims to be, without reading any values.

    Raises
    ------
    InvalidInputError
        The file is damaged, or no npz file.
    """
    members: dict[str, NpzMember] = {}
    try:
        with zipfile.ZipFile(path) as archive, path.open("rb") as file:
            entries = [entry for entry in archive.infolist() if entry.filename.endswith(_SUFFIX)]
            different = len({entry.filename for entry in entries})
            if len(entries) > _MOST_MEMBERS or len(entries) > different:
                raise ValueError(f"{len(entries)} arrays, of which {different} have different names")
            for entry in entries:
                header, length = _read_header(archive, entry)
                offset = None
                if _is_mappable(entry, header):
                    offset = _begin_of(entry, file) + length
                members[entry.filename.removesuffix(_SUFFIX)] = NpzMember(header, offset)
    except _READ_ERRORS as error:
        raise _unreadable(path, error) from None
    return members


def _read_header(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> tuple[NpyHeader, int]:
    """Return the header of an array and its length in bytes."""
    with archive.open(entry) as file:
        header = read_npy_header(file)
        length = file.tell()
    there = entry.file_size - length
    # memory is taken by the header's word, and no byte of it would come
    if not header.dtype.hasobject and header.promised_bytes > there:
        raise EOFError(
            f"{entry.filename} promises {header.promised_bytes:,} bytes, {max(there, 0):,} are there"
        )
    return header, length


def _is_mappable(entry: zipfile.ZipInfo, header: NpyHeader) -> bool:
    is_stored = entry.compress_type == zipfile.ZIP_STORED and entry.compress_size == entry.file_size
    return is_stored and header.promised_bytes > 0 and not header.dtype.hasobject


def _begin_of(entry: zipfile.ZipInfo, file: BufferedReader) -> int:
    """Return where the content of a member begins in the file."""
    file.seek(entry.header_offset)
    name_length, extra_length = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
    return entry.header_offset + _LOCAL_HEADER.size + name_length + extra_length


def check_contents(path: Path, wanted: dict[str, NpzMember], limits: Limits) -> None:
    """Refuse arrays that cannot be kept.

    Raises
    ------
    InvalidInputError
        An array holds Python objects, or together they promise more than `limits.bytes`.
    ResourceError
        Those that must be unpacked do not fit the memory.
    """
    for key, member in wanted.items():
        if member.header.dtype.hasobject:
            raise InvalidInputError(
                f"arrays must be plain numbers or text, {key} of {str(path)!r} holds Python objects:"
                " convert it with .astype and save again"
            )
    promised = sum(member.header.promised_bytes for member in wanted.values())
    if promised > limits.bytes:
        raise InvalidInputError(
            f"the arrays of an npz file may unpack to {limits.bytes / 2**30:.3g} GiB, those of {str(path)!r}"
            f" promise {promised / 2**30:.3g} GiB: save a smaller part; {limits.way_out('bytes')}"
        )
    check_memory(sum(member.needed_bytes for member in wanted.values()), "arrays", "save a smaller part")


def load_members(path: Path, wanted: dict[str, NpzMember]) -> dict[str, np.ndarray]:
    """Return arrays by name: mapped, and then read-only, where the file holds them as they are.

    Processes that joblib hands a mapped array map the file themselves.

    Parameters
    ----------
    path : Path
    wanted : dict of str to NpzMember
        All or some of what `read_members` gave.

    Raises
    ------
    InvalidInputError
        The file is damaged: values that are mapped are compared with their checksum, too.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return {key: _load(path, archive, key + _SUFFIX, member) for key, member in wanted.items()}
    except _READ_ERRORS as error:
        raise _unreadable(path, error) from None


def _load(path: Path, archive: zipfile.ZipFile, name: str, member: NpzMember) -> Shaped[np.ndarray, "..."]:
    with archive.open(name) as file:
        if member.offset is None:
            return np.lib.format.read_array(file, allow_pickle=False)
        while file.read(_BLOCK):  # at the end zipfile compares the checksum
            pass
    order = "F" if member.header.fortran_order else "C"
    mapped = np.memmap(path, member.header.dtype, "r", member.offset, member.header.shape, order)
    return np.asarray(mapped)  # not its class: results of arithmetic would be of it, too


def read_every_array(path: Path, limits: Limits = DEFAULT_LIMITS) -> dict[str, np.ndarray]:
    """Return all arrays of an npz file by name, as they are.

    Raises
    ------
    InvalidInputError
        The file cannot be read, promises more than `limits` allow, or an array holds Python objects.
    ResourceError
        The arrays do not fit the memory.
    """
    members = read_members(path)
    check_contents(path, members, limits)
    return load_members(path, members)


def _unreadable(path: Path, error: object) -> InvalidInputError:
    reason = " ".join(str(error).split()) or type(error).__name__
    return InvalidInputError(
        f"{str(path)!r} must be an npz file, it cannot be read ({reason}): save it again"
    )
