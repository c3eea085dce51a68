"""The working folder of an unfinished run: what is done, so that `--resume` does only the rest."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from riemaug.atomic import atomic_write_text
from riemaug.errors import InvalidInputError

WORK_NAME = ".riemaug"
JOURNAL_NAME = "journal.json"


@dataclass(frozen=True)
class WorkDir:
    """Files of an unfinished run under OUT/.riemaug; removed when the run ends well."""

    path: Path

    def training_state(self, index: int) -> Path:
        """Return the resumable training state of a class."""
        return self.path / f"class-{index:04d}.training.safetensors"

    def weights(self, index: int) -> Path:
        """Return the tensors of a class's fitted model."""
        return self.path / f"class-{index:04d}.model.safetensors"

    def description(self, index: int) -> Path:
        """Return the JSON part of a class's fitted model; written after the tensors."""
        return self.path / f"class-{index:04d}.model.json"

    def samples(self, index: int) -> Path:
        """Return the samples of a class that are to go into one npz file."""
        return self.path / f"class-{index:04d}.samples.npy"

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
        shutil.rmtree(self.path)


def unfinished_run(out: Path) -> bool:
    """Return whether OUT holds the working folder of an unfinished run."""
    return (out / WORK_NAME / JOURNAL_NAME).is_file()


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
    journal = work.path / JOURNAL_NAME
    if journal.is_file():
        _check_same(journal, identity, out, resume)
        return work
    work.path.mkdir(exist_ok=True)
    atomic_write_text(journal, json.dumps(identity, indent=1, ensure_ascii=False))
    return work


def _check_same(journal: Path, identity: dict[str, Any], out: Path, resume: bool) -> None:
    if not resume:
        raise InvalidInputError(
            f"OUT must be new or empty, {str(out)!r} holds an unfinished run: add --resume to continue "
            "it, or give another folder"
        )
    try:
        before = json.loads(journal.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InvalidInputError(
            f"a run's journal must be whole, {str(journal)!r} is not ({error}): start anew in another folder"
        ) from None
    changed = sorted(k for k in identity.keys() | before.keys() if identity.get(k) != before.get(k))
    if changed:
        raise InvalidInputError(
            f"a run resumes only with the same data and options, {', '.join(changed)} changed since "
            f"{str(out)!r} was begun: repeat them as they were, or start anew in another folder"
        )
