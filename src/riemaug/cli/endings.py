"""How a command ends that was stopped, or that the operating system refused something: in one line."""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager

from safetensors import SafetensorError

from riemaug.cli.text import refusal
from riemaug.errors import DiskError, InterruptedRunError
from riemaug.stopping import exit_code, what_stopped

RESUME = "run the same command with --resume to go on where it stopped"
GOES_ON = "run the same command again to go on where it stopped"
AGAIN = "run the same command again"

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_CLOSED = {errno.EROFS, errno.EACCES, errno.EPERM}
_GONE = {errno.ENOENT, errno.ENOTDIR, errno.ESTALE}
_BROKEN = {errno.EIO, errno.ENXIO, errno.ENODEV}


@contextmanager
def told_how_to_go_on(how: str) -> Iterator[None]:
    """End the block with one line that says how to go on, where it was stopped or refused something.

    Parameters
    ----------
    how : str
        What the user is to do: `RESUME`, `GOES_ON`, ...

    Raises
    ------
    InterruptedRunError
        Ctrl-C, SIGTERM or SIGHUP came.
    DiskError
        The disk is full, read-only or broken, or a file was taken away.
    """
    try:
        yield
    except KeyboardInterrupt as stop:
        raise InterruptedRunError(f"{what_stopped(stop)}; {how}", exit_code(stop)) from None
    except (OSError, SafetensorError) as error:  # safetensors has its own error for a full disk
        raise DiskError(f"{disk_fault(error)}, then {how}") from error


def disk_fault(error: Exception) -> str:
    """Return the rule that a refusal of the operating system breaks, what was found, and the fix."""
    number, found = _errno(error), refusal(error)
    if number in _FULL:
        return f"the disk must have room for what is written, it has not: {found}: free space"
    if number in _CLOSED:
        return f"files in use must be open to reading and writing, one is not: {found}: allow it"
    if number in _GONE:
        return f"files must stay where they are while they are in use, one is gone: {found}: put it back"
    if number in _BROKEN:
        return f"the disk must work, it does not: {found}: mend it"
    return f"the operating system refused: {found}: mend that"


def _errno(error: Exception) -> int | None:
    if isinstance(error, OSError):
        return error.errno
    # of libraries in Rust, which tell it only in words
    told = re.search(r"\(os error (\d+)\)", str(error))
    return None if told is None else int(told[1])
