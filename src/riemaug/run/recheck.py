"""Before a run goes on: is what it left still there? What is not is forgotten, so that it is made anew."""

import json
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from riemaug.parallel.run_folder import end_old_runs
from riemaug.run.jobs import SampleSpec
from riemaug.run.latent_map import SHOWN_DRAWS
from riemaug.run.preview import Preview, preview_path
from riemaug.run.sample_names import ZARR_NAME
from riemaug.run.segments import Segment, segments_of
from riemaug.run.stretches import DamagedRecordError, StretchFiles, reading
from riemaug.run.workdir import WorkDir
from riemaug.run.written_files import Joined, WrittenFiles

log = logging.getLogger(__name__)
Note = Callable[[str], None]
"""Hears what the user is to know while a run begins."""


def no_note(text: str) -> None:
    """Hear nothing."""


@dataclass(frozen=True, eq=False)
class Fault:
    """A segment of which a file is not as it was recorded.

    Attributes
    ----------
    class_name : str
    segment : Segment
    found : DamagedRecordError
    """

    class_name: str
    segment: Segment
    found: DamagedRecordError


def forget_what_changed(
    work: WorkDir, class_names: Sequence[str], specs: Sequence[SampleSpec], note: Note = no_note
) -> None:
    """Let each segment begin anew of which a file or a record is missing or of another size than recorded.

    The draws before such a stretch cannot be gone back to, as what a sampler knew after earlier stretches is
    not kept; the segment drawn anew has the same bytes. Where nothing was done as yet nothing happens.

    Parameters
    ----------
    work : WorkDir
    class_names : sequence of str
    specs : sequence of SampleSpec
        What is drawn of each class.
    note : callable
        Hears, once, which file it was and what is done; the log does, too.

    Raises
    ------
    ResourceError
        Tasks of a run that was killed are still at work, and write records.
    """
    end_old_runs(work.path, is_only=True)
    faults, offset = [], 0
    for index, (name, spec) in enumerate(zip(class_names, specs, strict=True)):
        count = _count_of_result(work, index)
        faults += _forget_of_class(work, index, name, spec, offset)
        offset += spec.count if count is None else count
    if faults:
        told = _told(faults, os.fspath(specs[0].out))
        log.warning("%s", told)
        note(told)


def _forget_of_class(work: WorkDir, index: int, name: str, spec: SampleSpec, offset: int) -> list[Fault]:
    segments = segments_of(index, spec)
    joined = Joined.of(work, index, segments, offset)
    faults = list(_faults(work, index, name, spec, joined))
    if not faults:
        return []
    work.result(index).unlink(missing_ok=True)
    begun_anew = [fault.segment for fault in faults]
    if joined.rows is not None:  # the rows of a segment alone are there no more
        joined.rows.unlink(missing_ok=True)
        begun_anew = segments
    if spec.shards == "zarr" and (spec.out / ZARR_NAME).exists():  # where its chunks can be replaced
        os.replace(spec.out / ZARR_NAME, work.path / ZARR_NAME)
    for segment in begun_anew:
        WrittenFiles(work, name, spec, segment).forget()
        StretchFiles(work.path, segment.stem).forget()
    return faults


def _faults(work: WorkDir, index: int, name: str, spec: SampleSpec, joined: Joined) -> Iterator[Fault]:
    has_result = work.result(index).exists()
    for segment in segments_of(index, spec):
        try:
            _check(work, WrittenFiles(work, name, spec, segment), joined, has_result)
        except DamagedRecordError as error:
            yield Fault(name, segment, error)


def _check(work: WorkDir, written: WrittenFiles, joined: Joined, must_have_ended: bool) -> None:
    """Raise DamagedRecordError if a file of a segment is not as it was recorded."""
    segment, kept = written.segment, 0
    files = StretchFiles(work.path, segment.stem)
    for stretch in files.checked(segment.span.start):
        written.check(stretch, joined)
        kept += len(stretch.numbers)
    if must_have_ended:
        with reading(files.end_path):
            files.end_path.stat()
    if kept and segment.span.start < SHOWN_DRAWS:
        path = preview_path(work, segment)
        with reading(path):
            Preview.load(path, kept)


def _count_of_result(work: WorkDir, index: int) -> int | None:
    """Return how many samples a class has by its result; remove one that is damaged: it is gathered again."""
    path = work.result(index)
    try:
        return int(json.loads(path.read_text(encoding="utf-8"))["synthetic"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.warning("%s is not as it was written (%s); it is gathered again", path.name, error)
        path.unlink()
        return None


def _told(faults: Sequence[Fault], out: str) -> str:
    first = faults[0]
    more = f", and {len(faults) - 1:,} more parts of the run" if len(faults) > 1 else ""
    return (
        f"{os.path.relpath(first.found.path, out)} is not as the run left it ({first.found.found}): "
        f"samples {first.segment.numbers} of class {first.class_name!r}{more} are drawn again"
    )
