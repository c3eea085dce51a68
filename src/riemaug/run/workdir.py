"""The working folder of an unfinished run: what is done, so that `--resume` does only the rest."""

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from riemaug.atomic import atomic_write_text, remove_leftovers
from riemaug.data import check_output_folder, prepare_output
from riemaug.errors import InvalidInputError
from riemaug.run.lock import is_locked, only_run

WORK_NAME = ".riemaug"
JOURNAL_NAME = "journal.json"
RUN_NAME = "run.json"
IDENTITY_KEY = "identity"
"""Key of run.json under which a finished run keeps what its journal held."""

_WORDS_ALONE = {"real_in_report": "--no-real-images", "data contents": "the data"}


@dataclass(frozen=True)
class WorkDir:
    """Files of an unfinished run under OUT/.riemaug; removed when the run ends well."""

    path: Path

    def absolute(self) -> "WorkDir":
        """Return the folder as worker processes find it, wherever they are."""
        return WorkDir(self.path.absolute())

    @property
    def journal(self) -> Path:
        """The file that says what the run is; the run is unfinished as long as it is there."""
        return self.path / JOURNAL_NAME

    def training_state(self, index: int) -> Path:
        """Return the resumable training state of a model."""
        return self.path / f"model-{index:04d}.training.safetensors"

    def weights(self, index: int) -> Path:
        """Return the tensors of a fitted model."""
        return self.path / f"model-{index:04d}.safetensors"

    def description(self, index: int) -> Path:
        """Return the JSON part of a fitted model; written after the tensors."""
        return self.path / f"model-{index:04d}.json"

    def fit_progress(self, index: int) -> Path:
        """Return the file by which the training of a model that classes share tells how far it is."""
        return self.path / f"model-{index:04d}.progress.json"

    @property
    def rehearsal(self) -> "WorkDir":
        """The files of the trainings by which sharing is decided."""
        return WorkDir(self.path / "rehearsal")

    @property
    def sharing(self) -> Path:
        """The file that says whether the classes share a model, once that is decided."""
        return self.path / "sharing.json"

    @property
    def trials(self) -> Path:
        """The finished trials of a search of constants."""
        return self.path / "trials.json"

    @property
    def tuning(self) -> Path:
        """The file that says what a search of constants found, once it has ended."""
        return self.path / "tuning.json"

    @property
    def parts(self) -> Path:
        """The file that says what the run has taken so far of time, memory and processor."""
        return self.path / "parts.json"

    @property
    def logs(self) -> Path:
        """The folder in which each worker process keeps its records."""
        return self.path / "log"

    def samples(self, index: int) -> Path:
        """Return the samples of a class that are to go into one npz file; whole once there is a result."""
        return self.path / f"class-{index:04d}.samples.npy"

    def joined_samples(self) -> Path:
        """Return the samples of all classes, on their way into one npz file."""
        return self.path / "samples.npy"

    def result(self, index: int) -> Path:
        """Return what a class's finished task has to say; written last."""
        return self.path / f"class-{index:04d}.result.json"

    def pictures(self, index: int) -> Path:
        """Return the arrays that the report shows of a class."""
        return self.path / f"class-{index:04d}.report.npz"

    def progress(self, index: int) -> Path:
        """Return the file by which a class's task tells how far it is."""
        return self.path / f"class-{index:04d}.progress.json"

    def remove(self) -> None:
        """Delete the folder with all its files."""
        # the journal first: a run killed in between must not seem unfinished with half its results gone
        self.journal.unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self.path)


def unfinished_run(out: Path) -> bool:
    """Return whether OUT holds the working folder of an unfinished run."""
    return os.path.isfile(out / WORK_NAME / JOURNAL_NAME)


def finished_run(out: Path) -> dict[str, Any] | None:
    """Return the contents of OUT's run.json if a run has ended there, else None."""
    if unfinished_run(out) or not os.path.isfile(out / RUN_NAME):
        return None
    try:
        content = json.loads((out / RUN_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    known = isinstance(content, dict) and isinstance(content.get(IDENTITY_KEY), dict)
    return content if known else None


def check_out(out: Path, data: Path | None, resume: bool) -> None:
    """Refuse an OUT in which something could be lost; with `resume`, accept a run's own folder.

    Raises
    ------
    InvalidInputError
        See `riemaug.data.check_output_folder`; or there is an unfinished run that was not to be resumed.
    """
    if unfinished_run(out) and not resume:
        if is_locked(out / WORK_NAME):
            found, fix = "a run that is at work now", "wait for its end"
        else:
            found, fix = "an unfinished run", "add --resume to continue it"
        raise InvalidInputError(
            f"OUT must be new or empty, {str(out)!r} holds {found}: {fix}, or give another folder"
        )
    ours = resume and (unfinished_run(out) or finished_run(out) is not None)
    check_output_folder(out, data, allow_existing=ours)


def open_workdir(out: Path, identity: dict[str, Any], resume: bool) -> WorkDir:
    """Return the working folder of a new or resumed run.

    Parameters
    ----------
    out : Path
        The output folder, which exists.
    identity : dict
        JSON-safe: everything that decides the result. A run resumes only under the same identity.
    resume : bool

    Raises
    ------
    InvalidInputError
        An unfinished run is there but was not to be resumed, or was started otherwise.
    """
    work = WorkDir(out / WORK_NAME)
    if unfinished_run(out):
        check_out(out, None, resume)
        _check_journal(work.journal, identity, out)
        return work
    work.path.mkdir(exist_ok=True)
    for leftover in work.path.iterdir():  # of a run that was killed while it removed its own
        shutil.rmtree(leftover) if leftover.is_dir() and not leftover.is_symlink() else leftover.unlink()
    atomic_write_text(work.journal, json.dumps(identity, indent=1, ensure_ascii=False))
    return work


@contextmanager
def open_run(out: Path, data: Path | None, identity: dict[str, Any], resume: bool) -> Iterator[WorkDir]:
    """Give the working folder to a block that does the run; it is removed when the block ends well.

    Raises
    ------
    InvalidInputError
        As `check_out` and `open_workdir`; or another run is at work in OUT.
    """
    allowed = resume and unfinished_run(out)
    prepare_output(out, data, allow_existing=allowed)
    folder = out / WORK_NAME
    folder.mkdir(exist_ok=True)
    # nothing is cleaned up or begun without the lock: another run may be at work here
    with only_run(folder, out):
        remove_leftovers(out)
        work = open_workdir(out, identity, resume)
        yield work
        remove_leftovers(out)
        work.remove()


def check_same_run(before: dict[str, Any], identity: dict[str, Any], out: Path) -> None:
    """Raise InvalidInputError that names what differs between a run and the one to be resumed."""
    job, wanted = before.get("job"), identity.get("job")
    if job != wanted:
        raise InvalidInputError(
            f"a run resumes only with its own command, {str(out)!r} was begun by riemaug {job}, not by "
            f"{wanted}: give another folder"
        )
    old, new = dict(_leaves(before)), dict(_leaves(identity))
    changed = {
        _wording(k, old.get(k), new.get(k)) for k in old.keys() | new.keys() if old.get(k) != new.get(k)
    }
    if changed:
        raise InvalidInputError(
            f"a run resumes only with the same data and options, {', '.join(sorted(changed))} changed since "
            f"{str(out)!r} was begun: repeat them as they were, or start anew in another folder"
        )


def _check_journal(journal: Path, identity: dict[str, Any], out: Path) -> None:
    try:
        before = json.loads(journal.read_text(encoding="utf-8"))
        if not isinstance(before, dict):
            raise ValueError("no mapping")
    except ValueError as error:
        raise InvalidInputError(
            f"a run's journal must be whole, {str(journal)!r} is not ({error}): start anew in another folder"
        ) from None
    check_same_run(before, identity, out)


def _leaves(fields: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the innermost names, which are those of the options, with their values."""
    for name, value in fields.items():
        if isinstance(value, dict):
            yield from _leaves(value)
        else:
            yield name, value


def _wording(name: str, before: Any, now: Any) -> str:
    if name in _WORDS_ALONE:
        return _WORDS_ALONE[name]
    text = "the version of riemaug" if name == "riemaug version" else "--" + name.replace("_", "-")
    return f"{text} (it was {_value(before)}, now {_value(now)})"


def _value(value: Any) -> str:
    if isinstance(value, list):
        return "x".join(map(str, value))
    if isinstance(value, bool):
        return "on" if value else "off"
    return "not given" if value is None else str(value)
