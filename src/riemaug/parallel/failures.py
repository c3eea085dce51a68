"""One error for all that went wrong in some tasks."""

from collections.abc import Sequence

from riemaug.errors import ResourceLostError, RiemaugError

Failure = tuple[str, Exception]
"""The name of a task, and what it raised."""


def poisoned(name: str, times: int) -> Failure:
    """Return the failure of a task that ends whatever worker does it."""
    return name, ResourceLostError(
        f"a task must leave its worker process alive, {name} has ended it {times} times, the last time with "
        "no other task at work (most often for lack of memory; smaller samples, in a run of their own, take "
        "less): free memory, or use a machine with more"
    )


def combined(failures: Sequence[Failure], num_tasks: int) -> Exception:
    """Return the one error to raise.

    A single failure is raised as it was. Of several, errors that nobody foresaw come first, with the rest
    as notes; the others become one line that names all tasks.

    Parameters
    ----------
    failures : sequence of Failure
        At least one.
    num_tasks : int
    """
    unforeseen = [item for item in failures if not isinstance(item[1], RiemaugError)]
    if unforeseen:
        name, error = unforeseen[0]
        error.add_note(f"raised by {name}")
        for other, also in failures:
            if also is not error:
                error.add_note(f"also failed: {_told(other, also)}")
        return error
    if len(failures) == 1:
        return failures[0][1]
    kinds = {type(error) for _, error in failures}
    kind = kinds.pop() if len(kinds) == 1 else RiemaugError
    told = "; ".join(_told(*item) for item in failures)
    return kind(f"{len(failures)} of {num_tasks} tasks failed, the others are done: {told}")


def _told(name: str, error: Exception) -> str:
    text = str(error) if isinstance(error, RiemaugError) else f"{type(error).__name__}: {error}"
    return text if name in text else f"{name}: {text}"
