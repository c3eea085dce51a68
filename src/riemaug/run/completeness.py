"""Whether all files of samples that a finished run made are still there."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from riemaug.data.bids_participants import PARTICIPANTS_NAME
from riemaug.data.manifest_files import CSV_MANIFEST, find_manifest, manifest_files
from riemaug.errors import InvalidInputError
from riemaug.run.collect import SAMPLES_NAMES
from riemaug.run.sample_names import place_in_shard

_TABLES = ("metadata.csv", PARTICIPANTS_NAME)
"""One of them stands beside samples that have files of their own."""


def check_complete(out: Path) -> None:
    """Refuse to take a finished run for done of which files are missing; each is looked for, none is read.

    Raises
    ------
    InvalidInputError
        The manifest is missing or is none, or files, shards or a store that it names are missing.
    """
    manifest = find_manifest(out)
    if manifest is None:
        raise _incomplete(f"{CSV_MANIFEST}, which names them, is missing in {str(out)!r}")
    count, first = 0, ""
    for name in _missing(out, manifest_files(manifest)):
        count, first = count + 1, first or name
    if count:
        raise _incomplete(
            f"{count:,} {'is' if count == 1 else 'are'} missing in {str(out)!r}, first {first!r}"
        )


def _missing(out: Path, names: Iterable[str]) -> Iterator[str]:
    """Yield what is missing of the files in which the samples lie, and of the table beside them."""
    before: tuple[str, ...] = ()
    have_files = False
    for name in names:
        place = place_in_shard(name)
        is_file = place is None and "/" in name
        have_files |= is_file
        holders = (name,) if is_file else SAMPLES_NAMES if place is None else (place[0],)
        if holders != before and not _is_one_there(out, holders):  # samples of a shard follow each other
            yield holders[0]
        before = holders
    if have_files and not _is_one_there(out, _TABLES):
        yield _TABLES[0]


def _is_one_there(out: Path, names: tuple[str, ...]) -> bool:
    return any(os.path.exists(os.path.join(out, name)) for name in names)


def _incomplete(found: str) -> InvalidInputError:
    return InvalidInputError(
        f"a finished run must have all files that it made, {found}: copy OUT again from where it is whole, "
        "or run the command anew with another OUT"
    )
