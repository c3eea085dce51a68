"""Where the study's runs find their data and keep what they fit."""

from dataclasses import dataclass
from pathlib import Path


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
