"""How a command ends that was stopped, or that the machine or a cluster let down: in one line."""

from collections.abc import Iterator
from contextlib import contextmanager

from safetensors import SafetensorError

from riemaug.disk import disk_fault
from riemaug.errors import DiskError, InterruptedRunError, ResourceLostError
from riemaug.stopping import exit_code, what_stopped

RESUME = "run the same command with --resume to go on where it stopped"
GOES_ON = "run the same command again to go on where it stopped"
AGAIN = "run the same command again"


@contextmanager
def told_how_to_go_on(how: str) -> Iterator[None]:
    """End the block with one line that says how to go on, where it was stopped or let down.

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
    ResourceLostError
        Memory, workers or their cluster gave out.
    """
    try:
        yield
    except KeyboardInterrupt as stop:
        raise InterruptedRunError(f"{what_stopped(stop)}; {how}", exit_code(stop)) from None
    except ResourceLostError as error:
        raise ResourceLostError(f"{error}, then {how}") from error
    except (OSError, SafetensorError) as error:  # safetensors has its own error for a full disk
        raise DiskError(f"{disk_fault(error)}, then {how}") from error
