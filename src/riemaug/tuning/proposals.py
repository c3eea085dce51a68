"""Which constants to try next, and which trials to give up: Optuna's TPE and median rule."""

from collections.abc import Sequence
from typing import Any

from riemaug.errors import InvalidInputError
from riemaug.random import Stream
from riemaug.tuning.space import Choice, Range
from riemaug.tuning.store import Trial

RANDOM_TRIALS = 5
"""So many trials are drawn at random before TPE has something to learn from."""
TRIALS_BEFORE_PRUNING = 4


class Proposal:
    """One choice to try.

    Attributes
    ----------
    choice : dict
    """

    def __init__(self, choice: Choice, asked: Any) -> None:
        self.choice, self._asked = choice, asked

    def is_hopeless(self, round_index: int, mean: float) -> bool:
        """Return whether this trial is worse after a round than the median of those before it."""
        self._asked.report(mean, round_index)
        return bool(self._asked.should_prune())


def require_optuna() -> Any:
    """Return the package, which is an extra; InvalidInputError if it is not installed."""
    try:
        import optuna
    except ImportError as error:
        raise InvalidInputError(
            "--tune needs the package optuna, it is not installed: pip install 'riemaug[tune]'"
        ) from error
    return optuna


def propose(ranges: dict[str, Range], trials: Sequence[Trial], stream: Stream) -> Proposal:
    """Return the next choice, given all trials so far.

    It depends on the trials and on `stream` alone: a search that was stopped goes on as if it had not been.

    Raises
    ------
    InvalidInputError
        Optuna is not installed.
    """
    optuna = require_optuna()
    spans = {name: _distribution(optuna, values) for name, values in ranges.items()}
    sampler = optuna.samplers.TPESampler(seed=stream.generator_seed(), n_startup_trials=RANDOM_TRIALS)
    pruner = optuna.pruners.MedianPruner(n_startup_trials=TRIALS_BEFORE_PRUNING, n_warmup_steps=0)
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        study = optuna.create_study(direction="maximize", sampler=sampler, pruner=pruner)
        for trial in trials:
            if trial.state != "failed" and trial.choice:
                study.add_trial(_told(optuna, trial, spans))
        asked = study.ask(spans)
    finally:
        optuna.logging.set_verbosity(verbosity)
    return Proposal(dict(asked.params), asked)


def _distribution(optuna: Any, values: Range) -> Any:
    if values.is_whole:
        return optuna.distributions.IntDistribution(int(values.low), int(values.high), log=True)
    return optuna.distributions.FloatDistribution(values.low, values.high, log=True)


def _told(optuna: Any, trial: Trial, spans: dict[str, Any]) -> Any:
    is_complete = trial.state == "complete"
    states = optuna.trial.TrialState
    return optuna.trial.create_trial(
        state=states.COMPLETE if is_complete else states.PRUNED,
        value=trial.value if is_complete else None,
        params=trial.choice,
        distributions=spans,
        intermediate_values=dict(enumerate(trial.round_means)),
    )
