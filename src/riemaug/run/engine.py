"""Jobs on the engine that their request names."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from riemaug.parallel import Engine

Rest = ParamSpec("Rest")
Result = TypeVar("Result")


def on_its_engine(
    job: Callable[Concatenate[Any, Rest], Result],
) -> Callable[Concatenate[Any, Rest], Result]:
    """Return a job that is carried out on the engine of its request, `request.run.engine`.

    The engine is reached before anything else is done, so that a wrong address costs no time.
    """

    @wraps(job)
    def entered(request: Any, *arguments: Rest.args, **named: Rest.kwargs) -> Result:
        with Engine.parse(request.run.engine).entered():
            return job(request, *arguments, **named)

    return entered
