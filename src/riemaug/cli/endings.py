"""How a command ends that was stopped, or that the operating system refused something: in one line."""

from collections.abc import Iterator
from contextlib import contextmanager

from safetensors import SafetensorError

from riemaug.disk import disk_fault
from riemaug.errors import DiskError, InterruptedRunError
from riemaug.stopping import exit_code, what_stopped

RESUME = "run the same command with --resume to go on where it stopped"
GOES_ON = "run the same command again to go on where it stopped"
AGAIN = "run the same command again"


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
