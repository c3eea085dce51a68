"""The errors that riemaug raises on purpose.

Every message is one line: the rule, what was found, the fix.
"""


class RiemaugError(Exception):
    """Base of all errors raised on purpose; `exit_code` is what the command line ends with."""

    exit_code = 1


class InvalidInputError(RiemaugError, ValueError):
    """The user's data, options or files break a rule; nothing was changed."""

    exit_code = 2


class NotFittedError(RiemaugError, RuntimeError):
    """A method that needs a fitted estimator was called before `fit`."""

    exit_code = 2


class ResourceError(RiemaugError):
    """The job as asked for does not fit this machine; the message names a way out."""

    exit_code = 2


class ResourceLostError(ResourceError):
    """Memory, workers or their cluster gave out in the middle of a run; what was done is kept."""

    exit_code = 1


class InterruptedRunError(RiemaugError):
    """A signal stopped a run (Ctrl-C, SIGTERM, SIGHUP); what it had done is kept.

    Parameters
    ----------
    message : str
    exit_code : int
        128 and the number of the signal.
    """

    exit_code = 130

    def __init__(self, message: str, exit_code: int = 130) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class DiskError(RiemaugError):
    """The disk is full, read-only or broken, or a file was taken away; what was done is kept."""


class TrainingError(RiemaugError):
    """Training diverged and could not be brought back by smaller steps."""


class SamplingError(RiemaugError):
    """A sampler could not draw from its law."""
