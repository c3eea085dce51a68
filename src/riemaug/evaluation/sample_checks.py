"""Fidelity and copying as parts of an evaluation: which samples are compared, and what has to be left out."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float32

from riemaug.evaluation.features import ClassifierFeatures, FeatureSpace, PCAFeatures, PixelFeatures
from riemaug.evaluation.fidelity import FidelityConfig, FidelityScores, fidelity_scores
from riemaug.evaluation.memorisation import check_copying
from riemaug.evaluation.result_file import Key
from riemaug.evaluation.samples import LabelledSamples
from riemaug.evaluation.tasks import Task
from riemaug.evaluation.training_sets import Material
from riemaug.random import Stream

MOST_COMPARED = 2000
"""Samples of each set that fidelity compares: more change its numbers little and cost much."""


@dataclass(frozen=True, eq=False)
class _CheckTask(Task):
    """A check of the synthetic samples of one fold.

    Attributes
    ----------
    material : Material
    stream : Stream
        Of the evaluation.
    """

    material: Material
    stream: Stream

    @property
    @abstractmethod
    def kind(self) -> str:
        """Name of the check."""

    @property
    def what(self) -> str:
        """Name of the check."""
        return self.kind

    @property
    def _stream(self) -> Stream:
        return self.stream.child(self.kind, str(self.material.fold))


@dataclass(frozen=True, eq=False)
class FidelityTask(_CheckTask):
    """How much the synthetic samples are like real ones, overall and class by class.

    Attributes
    ----------
    features : str
        See `EvaluationConfig`.
    """

    features: str

    @property
    def key(self) -> Key:
        """What tells the check from all other tasks."""
        return "fidelity", self.material.fold, self.features

    @property
    def kind(self) -> str:
        """Name of the check."""
        return "fidelity"

    @property
    def size(self) -> float:
        """Pairs of samples that are compared."""
        test = self.material.test
        real = len(self.material.shown) if test is None else len(test)
        return float(min(real, MOST_COMPARED) * min(len(self.material.synthetic), MOST_COMPARED))

    def carry_out(self) -> dict[str, Any]:
        """Compare."""
        fitted_on = self.material.shown
        space = feature_space(self.features, self._stream).fit(fitted_on.samples, fitted_on.labels)
        name = space.name
        if len(fitted_on.shape) == 1:
            name = name.replace("pixels", "scaled columns")
        real, notes = _some(self.material.test or fitted_on, "real", self._stream)
        synthetic, more = _some(self.material.synthetic, "synthetic", self._stream)
        rows = _Rows.of(space, real), _Rows.of(space, synthetic)
        config = FidelityConfig()
        overall, per_class, skipped = _compared(*rows, self.material.class_names, config, self._stream)
        notes += more
        if overall is not None and overall.frechet.note:
            notes.append(overall.frechet.note)
        if self.material.test is None:
            notes.append(
                "Without a test set fidelity compares with the samples that the generator was trained on: a "
                "copy looks perfect."
            )
        if skipped:
            notes.append(
                f"Classes with fewer than {_least(config)} real or synthetic samples have no measures of "
                f"their own: {', '.join(skipped)}."
            )
        return {
            "feature_space": name,
            "compared_with": "real training samples" if self.material.test is None else "test samples",
            "num_real": len(real),
            "num_synthetic": len(synthetic),
            "overall": None if overall is None else overall.to_dict(),
            "per_class": {label: scores.to_dict() for label, scores in per_class.items()},
            "notes": notes,
        }


@dataclass(frozen=True, eq=False)
class CopyingTask(_CheckTask):
    """Whether the synthetic samples are training samples again."""

    @property
    def key(self) -> Key:
        """What tells the check from all other tasks."""
        return "copying", self.material.fold

    @property
    def kind(self) -> str:
        """Name of the check."""
        return "copying"

    @property
    def size(self) -> float:
        """Pairs of samples that are compared."""
        others = len(self.material.synthetic) + len(self.material.test or ())
        return float(len(self.material.shown) * others)

    def carry_out(self) -> dict[str, Any]:
        """Compare."""
        material, training = self.material, self.material.shown.samples
        space = PixelFeatures().fit(training)
        held_out = None if material.test is None else space.transform(material.test.samples)
        report = check_copying(
            space.transform(training),
            space.transform(material.synthetic.samples),
            held_out,
            self._stream,
        )
        return report.to_dict()


def feature_space(name: str, stream: Stream) -> FeatureSpace:
    """Return the feature space of a name of `EvaluationConfig.features`."""
    if name == "pixels":
        return PixelFeatures()
    return PCAFeatures() if name == "pca" else ClassifierFeatures(random_state=stream)


@dataclass(frozen=True, eq=False)
class _Rows:
    """Features with their classes."""

    features: Float32[np.ndarray, "n D"]
    labels: np.ndarray

    @classmethod
    def of(cls, space: FeatureSpace, data: LabelledSamples) -> "_Rows":
        return cls(space.transform(data.samples), data.labels)

    def of_class(self, label: int) -> np.ndarray:
        return self.features[self.labels == label]


def _compared(
    real: _Rows, synthetic: _Rows, class_names: tuple[str, ...], config: FidelityConfig, stream: Stream
) -> tuple[FidelityScores | None, dict[str, FidelityScores], list[str]]:
    """Return the measures overall and of the classes that have samples enough, and the other classes."""
    least = _least(config)
    if min(len(real.features), len(synthetic.features)) < least:
        return None, {}, []
    per_class, skipped = {}, []
    for label, name in enumerate(class_names):
        pair = real.of_class(label), synthetic.of_class(label)
        if min(map(len, pair)) < least:
            skipped.append(name)
        else:
            per_class[name] = fidelity_scores(*pair, config, stream.child("class", name))
    return fidelity_scores(real.features, synthetic.features, config, stream), per_class, skipped


def _least(config: FidelityConfig) -> int:
    """Return how many samples a set needs."""
    return max(config.k + 1, 2 * config.folds)


def _some(data: LabelledSamples, name: str, stream: Stream) -> tuple[LabelledSamples, list[str]]:
    """Return at most `MOST_COMPARED` of the samples, drawn at random, and a note if these are not all."""
    if len(data) <= MOST_COMPARED:
        return data, []
    rng = np.random.default_rng(stream.child("drawn", name).generator_seed())
    rows = np.sort(rng.permutation(len(data))[:MOST_COMPARED])
    return data.take(rows), [f"Fidelity compares {MOST_COMPARED:,} of {len(data):,} {name} samples."]
