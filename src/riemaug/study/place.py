"""Where the study's runs find their data and keep what they fit."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from riemaug.logs import logged_in


@dataclass(frozen=True)
class Place:
    """Folders and device of a run.

    Attributes
    ----------
    data : Path
        The folder with the data sets' files.
    cache : Path or None
        Fitted generators are kept here, and taken from here.
    device : str
        Of the classifiers and the generators.
    """

    data: Path
    cache: Path | None = None
    device: str = "cpu"

    def absolute(self) -> "Place":
        """Return the same place, such that it is the same in any folder."""
        cache = None if self.cache is None else self.cache.absolute()
        return Place(self.data.absolute(), cache, self.device)


def kept_log(cache: Path | None, level: str) -> AbstractContextManager[Any]:
    """Return a context in which what is said is kept in the cache's run.log; other processes may add to it.

    Parameters
    ----------
    cache : Path, optional
        Made if need be; None keeps no log.
    level : str
        See `riemaug.logs.RunLog`.
    """
    if cache is None:
        return nullcontext()
    cache.mkdir(parents=True, exist_ok=True)
    return logged_in(cache, level, is_only_run=False)
