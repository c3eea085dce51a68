"""Judging samples: classifiers, fidelity and diversity, nearest neighbours and copies."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from riemaug.evaluation.cross_validation import cross_validate as cross_validate
    from riemaug.evaluation.outcome import Evaluation as Evaluation
    from riemaug.evaluation.protocol import evaluate_gain as evaluate_gain
    from riemaug.evaluation.protocol import evaluate_samples as evaluate_samples
    from riemaug.evaluation.settings import EvaluationConfig as EvaluationConfig

_HOMES = {
    "cross_validate": "cross_validation",
    "evaluate_gain": "protocol",
    "evaluate_samples": "protocol",
    "Evaluation": "outcome",
    "EvaluationConfig": "settings",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for: those who need one measure do not load all classifiers."""
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
