"""Something small that is done again and again beside the main work."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress


@contextmanager
def repeating(function: Callable[[], object], seconds: float, name: str) -> Iterator[None]:
    """Call a function in a thread every so many seconds while the block lasts; a failing disk is borne.

    Parameters
    ----------
    function : callable
    seconds : float
    name : str
        Of the thread.
    """
    stop = threading.Event()

    def repeat() -> None:
        while not stop.wait(seconds):
            with suppress(OSError):
                function()

    thread = threading.Thread(target=repeat, daemon=True, name=name)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
