"""Which volumes of a BIDS data set are meant where it holds several kinds, or versions, of them.

A file name is made of entities, such as run-2, and ends in a suffix, such as T1w. Most entities say which
image it is; some say which version of it: in which space and resolution, and what was drawn in it or done to
it. A derivative often holds one image in several versions, which are no samples of their own. See the Brain
Imaging Data Structure, "Common principles" and "Derivatives".
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from riemaug.data.listing import split_suffix
from riemaug.errors import InvalidInputError

_SPACES = ("space", "cohort", "res", "den")
_CONTENTS = ("atlas", "seg", "label", "desc")
_SHOWN_KINDS = 5


@dataclass(frozen=True)
class VolumeName:
    """What the name of a volume says.

    Attributes
    ----------
    image : tuple of str
        Subject, entities that say which of its images it is, and suffix.
    version : tuple of str
        Entities that say which version of that image, in their order in the name.
    suffix : str
    """

    image: tuple[str, ...]
    version: tuple[str, ...]
    suffix: str

    @classmethod
    def of(cls, path: str) -> "VolumeName":
        """Take apart the name of a file; of the folders above it the first alone counts, the subject."""
        *entities, suffix = _stem(path).split("_")
        version = tuple(part for part in entities if _key(part) in (*_SPACES, *_CONTENTS))
        image = (PurePosixPath(path).parts[0], *(part for part in entities if part not in version), suffix)
        return cls(image, version, suffix)

    @property
    def kind(self) -> str:
        """The version and the suffix: what --bids-suffix takes."""
        return "_".join((*self.version, self.suffix))

    @property
    def space(self) -> str:
        """As `kind`, but of the version only the space and the resolution."""
        return "_".join((*(part for part in self.version if _key(part) in _SPACES), self.suffix))

    def has(self, asked: str) -> bool:
        """Tell whether the name has all the entities, and the suffix, that are asked for."""
        *entities, suffix = asked.split("_")
        return suffix == self.suffix and set(entities) <= {*self.image, *self.version}


def _stem(path: str) -> str:
    return split_suffix(PurePosixPath(path).name)[0]


def _key(entity: str) -> str:
    return entity.partition("-")[0] if "-" in entity else ""


def choose_volumes(names: Sequence[str], asked: str | None) -> tuple[str, list[str]]:
    """Return the suffix of the volumes to read, and these, of each image one version.

    Parameters
    ----------
    names : sequence of str
        One volume at least.
    asked : str, optional
        End of the names of the volumes to read, or some of their entities and the suffix.

    Raises
    ------
    InvalidInputError
        Volumes of several kinds or versions and no clear word which, or none of those asked for.
    """
    told = {name: VolumeName.of(name) for name in names}
    kinds = Counter(name.kind for name in told.values())
    if asked is None:
        suffixes = {name.suffix for name in told.values()}
        if len(suffixes) > 1:
            raise InvalidInputError(
                f"a data set holds volumes of one kind, this one has {_listed(kinds)}: give --bids-suffix"
            )
        return suffixes.pop(), _one_version(told, None)
    ends = [name for name in names if f"_{_stem(name)}".endswith(f"_{asked}")]
    chosen = ends or [name for name in names if told[name].has(asked)]
    if not chosen:
        raise InvalidInputError(
            f"--bids-suffix must be the end of a volume's name, none ends in {asked!r}: there are"
            f" {_listed(kinds)}"
        )
    return asked, _one_version({name: told[name] for name in chosen}, asked)


def _one_version(told: dict[str, VolumeName], asked: str | None) -> list[str]:
    """Return the volumes of the version that was asked for, all of them if no image has two."""
    twice = _same_image(told)
    if twice is None:
        return list(told)
    wanted = None if asked is None else set(VolumeName.of(asked).version)
    exact = [name for name, parts in told.items() if set(parts.version) == wanted]
    if exact:
        return exact
    kinds = Counter(parts.kind for parts in told.values())
    raise InvalidInputError(
        f"of an image one version is read, {twice[0]!r} and {twice[1]!r} are of the same: give --bids-suffix"
        f" with one of those there are ({_listed(kinds)})"
    )


def _same_image(told: dict[str, VolumeName]) -> tuple[str, str] | None:
    """Return two volumes that are versions of one image, None if there are no such."""
    first_of: dict[tuple[str, ...], str] = {}
    for name, parts in told.items():
        first = first_of.setdefault(parts.image, name)
        if told[first].version != parts.version:
            return first, name
    return None


def _listed(found: Counter[str]) -> str:
    shown = ", ".join(f"{count} of {kind}" for kind, count in found.most_common(_SHOWN_KINDS))
    return shown if len(found) <= _SHOWN_KINDS else f"{shown} and {len(found) - _SHOWN_KINDS} more kinds"


def mixed_spaces(names: Sequence[str]) -> str:
    """Return how many volumes lie in which space, for the user; "" where all lie in one."""
    found = Counter(VolumeName.of(name).space for name in names)
    return _listed(found) if len(found) > 1 else ""
