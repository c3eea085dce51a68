"""Which DICOM files make one series, and which series are the samples of a data set."""

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from riemaug.data.dicom import check_pydicom, read_series_id
from riemaug.data.file_samples import names_of, of_each
from riemaug.data.listing import ListedFile, Listing, quote_some
from riemaug.errors import InvalidInputError


@dataclass(frozen=True)
class _SeriesFiles:
    """The files of one series."""

    files: tuple[ListedFile, ...]
    readable: bool

    def is_of(self, slices: int) -> bool:
        """Tell whether it has so many slices; one that cannot be read is to be named when it is read."""
        return not self.readable or len(self.files) >= slices

    @property
    def folder(self) -> str:
        return PurePosixPath(self.files[0].name).parent.as_posix()


def list_series(root: Path, listing: Listing, min_slices: int | None = None) -> Listing:
    """Return the listing with one entry a series, by the name of the first of its files.

    Parameters
    ----------
    root : Path
    listing : Listing
        Of the files.
    min_slices : int, optional
        Leave out series of fewer files.

    Raises
    ------
    InvalidInputError
        pydicom is not installed, no file holds a picture, no series of a class has so many slices, or series
        of one slice are among longer ones.
    """
    check_pydicom()
    names = names_of(listing)
    with warnings.catch_warnings(action="ignore"):
        found = of_each(lambda row: read_series_id(root / names[row]), len(names))
    series = _series_of(listing.files, found)
    if not series:
        raise InvalidInputError(f"the DICOM files of {str(root)!r} hold no pictures: give a folder of images")
    without = sum(identifier is None for identifier in found)
    notes = [f"{without} DICOM files without a picture were left out."] if without else []
    kept = series if min_slices is None else [one for one in series if one.is_of(min_slices)]
    if len(kept) < len(series):
        notes.append(
            f"{len(series) - len(kept)} series of fewer than {min_slices} slices were left out as asked."
        )
    _check_classes(series, kept)
    _check_no_localizers(kept)
    num_files = sum(len(one.files) for one in kept)
    notes.append(f"{num_files} DICOM files make {len(kept)} series; new volumes are NIfTI files.")
    notes += _neighbour_notes(kept)
    entries = tuple(one.files[0] for one in kept)
    members = {one.files[0].name: tuple(file.name for file in one.files) for one in kept}
    return replace(listing, files=entries, notes=(*listing.notes, *notes), members=members)


def _series_of(
    files: Sequence[ListedFile], found: Sequence[str | None | InvalidInputError]
) -> list[_SeriesFiles]:
    """Return the files of each class, folder and series, in the order in which these are first met."""
    files_of: dict[tuple[str, ...], list[ListedFile]] = {}
    unreadable = set[tuple[str, ...]]()
    for file, series in zip(files, found, strict=True):
        if series is None:
            continue
        bad = isinstance(series, InvalidInputError)
        # a file that cannot be read is a series of its own
        key = (file.class_name, PurePosixPath(file.name).parent.as_posix(), file.name if bad else series)
        files_of.setdefault(key, []).append(file)
        if bad:
            unreadable.add(key)
    return [_SeriesFiles(tuple(members), key not in unreadable) for key, members in files_of.items()]


def _check_classes(series: Sequence[_SeriesFiles], kept: Sequence[_SeriesFiles]) -> None:
    """Refuse to leave out a class without a word."""
    longest: dict[str, int] = {}
    for one in series:
        name = one.files[0].class_name
        longest[name] = max(longest.get(name, 0), len(one.files))
    lost = sorted(longest.keys() - {one.files[0].class_name for one in kept})
    if lost:
        raise InvalidInputError(
            f"--min-slices must leave series of each class, {quote_some(lost)} would have none: series of"
            f" {lost[0]!r} have up to {longest[lost[0]]} slices, give no more"
        )


def _check_no_localizers(series: Sequence[_SeriesFiles]) -> None:
    """Refuse single slices among volumes: scouts are no samples, and resampling would make them look so."""
    single = [one.files[0].name for one in series if not one.is_of(2)]
    longer = sum(one.readable for one in series) - len(single)
    if single and longer:
        raise InvalidInputError(
            f"series of one slice (localizers?) must not be among volumes, {len(single)} of"
            f" {len(single) + longer} are such: {quote_some(single)}: give --min-slices 2 to leave them out"
        )


def _neighbour_notes(series: Sequence[_SeriesFiles]) -> list[str]:
    """Return the note on folders of several series, which may be several kinds of one patient's images."""
    # a folder at the top is a class, or all there is: not one patient
    count_of = Counter(one.folder for one in series if "/" in one.folder)
    several = [folder for folder, count in count_of.items() if count > 1]
    if not several:
        return []
    told = f"{len(several)} folders hold several series each ({quote_some(several)})"
    return [f"{told}: each series is a sample of its own. If they differ in kind, choose with --include."]
