"""Outputs of quick commands: made out of sight, then moved to OUT, so that a repeated command starts anew."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from riemaug.atomic import atomic_write_text
from riemaug.data.listing import is_ignored
from riemaug.data.output import check_output_folder, prepare_output
from riemaug.run.lock import only_run

STAGE_NAME = ".riemaug-stage"
_CONTENTS_NAME, _MOVED_NAME = "contents", "moved.json"


def is_half_moved(out: Path) -> bool:
    """Return whether all that OUT shows was moved there by a command that was killed while it moved it.

    The list of what is to be moved is written before the first move, so an entry is ours if it is listed
    and no longer waits in the stage.
    """
    listed = _listed(out)
    waiting = set(_entries(out / STAGE_NAME / _CONTENTS_NAME))
    shown = [name for name in _entries(out) if not is_ignored(name)]
    return bool(shown) and all(name in listed and name not in waiting for name in shown)


def check_stage_out(out: Path, data: Path | None = None) -> None:
    """Raise InvalidInputError if OUT may not be written to; see `riemaug.data.check_output_folder`."""
    check_output_folder(out, data, allow_existing=is_half_moved(out))


@contextmanager
def staged_output(out: Path, data: Path | None, last: str) -> Iterator[Path]:
    """Give a hidden folder in OUT; what the block puts there moves to OUT when the block ends well.

    Whatever a killed command left is removed first, and all is made anew.

    Parameters
    ----------
    out : Path
    data : Path or None
        What is read, which OUT must lie apart from.
    last : str
        The file that moves last: where it is, all is there.

    Raises
    ------
    InvalidInputError
        OUT holds something else, cannot be written to, or another command is at work there.
    """
    target = prepare_output(out, data, allow_existing=is_half_moved(out))
    with only_run(target, target):
        check_stage_out(target, data)  # again: what was at work before may have ended since
        _take_back(target)
        contents = target / STAGE_NAME / _CONTENTS_NAME
        contents.mkdir(parents=True)
        try:
            yield contents
            _move(target, contents, last)
        except BaseException:
            _take_back(target)
            raise
        shutil.rmtree(target / STAGE_NAME)


def _move(out: Path, contents: Path, last: str) -> None:
    names = sorted(_entries(contents), key=lambda name: (name == last, name))
    atomic_write_text(out / STAGE_NAME / _MOVED_NAME, json.dumps(names))
    for name in names:
        os.replace(contents / name, out / name)


def _take_back(out: Path) -> None:
    """Remove the stage of a command that did not end well, and what had been moved out of it."""
    waiting = set(_entries(out / STAGE_NAME / _CONTENTS_NAME))
    for name in _listed(out) - waiting:
        _remove(out / name)
    shutil.rmtree(out / STAGE_NAME, ignore_errors=True)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _listed(out: Path) -> set[str]:
    try:
        names = json.loads((out / STAGE_NAME / _MOVED_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return set()
    # a list that somebody else wrote must lead nowhere else
    return {name for name in names if isinstance(name, str) and name == os.path.basename(name)} - {"", ".."}


def _entries(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []
