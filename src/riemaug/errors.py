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


class InterruptedRunError(RiemaugError):
    """The user stopped a run (Ctrl-C); what it had done is kept for `--resume`."""

    exit_code = 130


class TrainingError(RiemaugError):
    """Training diverged and could not be brought back by smaller steps."""


class SamplingError(RiemaugError):
    """A sampler could not draw from its law."""
