"""Which files of a data folder are to be read where not all are: by patterns of their names."""

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from riemaug.data.listing import quote_some
from riemaug.errors import InvalidInputError


@dataclass(frozen=True)
class FileChoice:
    """Patterns of the files to read, and of those to leave out.

    In a pattern `*` stands for any characters, `?` for one and `[...]` for one of some. A pattern with a
    slash is compared with the whole path below the data folder, of which `*` passes slashes, too; another
    one with the name of the file alone. Upper and lower case differ.

    Parameters
    ----------
    include : tuple of str
        Only files that one of these fits are read; none: all are.
    exclude : tuple of str
        Of those, files that one of these fits are left out.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    def takes(self, name: str) -> bool:
        """Tell whether a file is to be read, by its path below the data folder, with forward slashes."""
        is_included = not self.include or any(_fits(name, pattern) for pattern in self.include)
        return is_included and not any(_fits(name, pattern) for pattern in self.exclude)

    def sift(self, names: Iterable[str]) -> tuple[list[str], list[str]]:
        """Return those samples that are to be read, and notes on the others and on patterns that fit none.

        Raises
        ------
        InvalidInputError
            There were some, and none is left.
        """
        found = list(names)
        if self == EVERY_FILE:
            return found, []
        taken = [name for name in found if self.takes(name)]
        if found and not taken:
            raise InvalidInputError(
                f"--include and --exclude must leave files to read, they leave none of {len(found)}, such as"
                f" {min(found)!r}: correct them, and put patterns in quotes"
            )
        notes = [
            f"{option} {pattern!r} fits no sample: is it as it should be?"
            for option, patterns in (("--include", self.include), ("--exclude", self.exclude))
            for pattern in patterns
            if not any(_fits(name, pattern) for name in found)
        ]
        if len(taken) < len(found):
            left_out = sorted(set(found) - set(taken))
            notes.append(f"{len(left_out)} files were left out as asked: {quote_some(left_out)}.")
        return taken, notes


EVERY_FILE = FileChoice()


def _fits(name: str, pattern: str) -> bool:
    return fnmatchcase(name if "/" in pattern else PurePosixPath(name).name, pattern)
