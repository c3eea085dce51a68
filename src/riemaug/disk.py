"""What the operating system refuses: the rule that was broken, what was found, and the fix."""

import errno
import re

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_READ_ONLY = {errno.EROFS}
_CLOSED = {errno.EACCES, errno.EPERM}
_GONE = {errno.ENOENT, errno.ENOTDIR, errno.ESTALE}
_BROKEN = {errno.EIO, errno.ENXIO, errno.ENODEV}


def refusal(error: Exception) -> str:
    """Return what the operating system said, and about which file."""
    if not isinstance(error, OSError):
        return " ".join(str(error).split())
    said = error.strerror or str(error)
    return f"{said} ({error.filename})" if error.filename else said


def disk_fault(error: Exception) -> str:
    """Return the rule, what was found and the fix, without an end: what is to be done then follows.

    Parameters
    ----------
    error : OSError, or the error of a library that has it in words
    """
    number, found = _errno(error), refusal(error)
    if number in _FULL:
        return f"the disk must have room for what is written, it has not: {found}: free space"
    if number in _READ_ONLY:
        return f"the disk must be writable, it is read-only: {found}: let it be written to"
    if number in _CLOSED:
        return f"files in use must be open to reading and writing, one is not: {found}: allow it"
    if number in _GONE:
        return f"files must stay where they are while they are in use, one is gone: {found}: put it back"
    if number in _BROKEN:
        return f"the disk must work, it does not: {found}: mend it"
    return f"the operating system refused: {found}: mend that"


def stops_all(error: Exception) -> bool:
    """Return whether what is to be done next on this disk would fail, too."""
    return _errno(error) in _FULL | _READ_ONLY | _BROKEN


def _errno(error: Exception) -> int | None:
    if isinstance(error, OSError):
        return error.errno
    # of libraries in Rust, such as safetensors
    told = re.search(r"\(os error (\d+)\)", str(error))
    return None if told is None else int(told[1])
