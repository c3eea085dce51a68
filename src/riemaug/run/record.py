"""What is kept of a run beside its results: its log, and what it took of time, memory and processor."""

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from riemaug.logs import LOG_NAME, RunLog, fields, peak_memory_mb
from riemaug.run.parts import Part, read_parts, summary, write_parts
from riemaug.run.workdir import WorkDir

log = logging.getLogger(__name__)
KEEP_SECONDS = 10.0
"""How often it is noted what the run took: so much is lost of a part that is killed."""


class RunRecord:
    """A context manager around a run; see `riemaug.logs.RunLog`.

    Parameters
    ----------
    level : str
        Of the log.
    """

    def __init__(self, level: str) -> None:
        self.log = RunLog(level)
        self._began = datetime.now(UTC).isoformat(timespec="seconds")
        self._cpu = time.process_time()
        self._earlier: list[Part] = []
        self._kept = 0.0

    def __enter__(self) -> "RunRecord":
        self.log.__enter__()
        return self

    def __exit__(self, *exception: Any) -> None:
        self.log.__exit__(*exception)

    @property
    def seconds(self) -> float:
        """Seconds since this part of the run began."""
        return self.log.clock.total

    @contextmanager
    def in_folder(self, out: Path, work: WorkDir) -> Iterator[None]:
        """Write the log in OUT while the block runs, and keep in the working folder what the run takes."""
        self._earlier = read_parts(work.parts)
        if self._earlier:
            log.info(
                "resumed; the run began at %s and had gone on for %.0f s",
                self._earlier[0].began,
                sum(part.seconds for part in self._earlier),
                extra=fields(resumes=len(self._earlier)),
            )
        self._keep(work.parts)
        with self.log.in_folder(out / LOG_NAME, work.logs, lambda: self._keep_now_and_then(work.parts)):
            try:
                yield
            finally:
                self._keep_where_there_is_room(work.parts)

    def summary(self) -> dict[str, Any]:
        """Return what run.json says of time, memory and processor, this part's until now."""
        return summary([*self._earlier, self._part()], self.log.worker_usage())

    def _part(self) -> Part:
        stages = {name: round(seconds, 3) for name, seconds in self.log.clock.seconds().items()}
        cpu = round(time.process_time() - self._cpu, 3)
        return Part(self._began, round(self.seconds, 3), stages, cpu, round(peak_memory_mb(), 1))

    def _keep(self, path: Path) -> None:
        self._kept = time.monotonic()
        write_parts(path, [*self._earlier, self._part()])

    def _keep_now_and_then(self, path: Path) -> None:
        if time.monotonic() - self._kept >= KEEP_SECONDS:
            self._keep(path)

    def _keep_where_there_is_room(self, path: Path) -> None:
        """Keep it at the end, however that came: a full disk is told by what failed first."""
        try:
            self._keep(path)
        except OSError:
            log.debug("what the run took could not be noted in %s", os.fspath(path))
