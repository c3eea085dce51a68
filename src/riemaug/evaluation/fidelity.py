"""How alike real and synthetic samples are: all measures, overall and per class, in one feature space."""

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped
from sklearn.base import BaseEstimator

from riemaug.errors import InvalidInputError
from riemaug.evaluation.features import FeatureSpace
from riemaug.evaluation.frechet import FrechetDistance, frechet_distance
from riemaug.evaluation.kernel_distances import (
    KID_BLOCKS,
    PERMUTATIONS,
    DiscrepancyTest,
    KernelDistance,
    discrepancy_test,
    kernel_inception_distance,
)
from riemaug.evaluation.neighbourhoods import DEFAULT_K, NeighbourhoodScores, neighbourhood_scores
from riemaug.evaluation.two_sample import ClassifierTest, classifier_two_sample_test
from riemaug.random import Stream, as_stream


@dataclass(frozen=True, eq=False)
class FidelityConfig:
    """How the measures are taken.

    Attributes
    ----------
    k : int
        Neighbour to which the balls of precision, recall, density and coverage reach.
    kid_blocks : int
        Blocks of the standard error of KID.
    mmd_permutations : int
    classifier : scikit-learn classifier, optional
        Of the two-sample test; None for its default.
    folds, classifier_permutations : int
        Of the two-sample test.
    """

    k: int = DEFAULT_K
    kid_blocks: int = KID_BLOCKS
    mmd_permutations: int = PERMUTATIONS
    classifier: BaseEstimator | None = None
    folds: int = 5
    classifier_permutations: int = 0


@dataclass(frozen=True)
class FidelityScores:
    """All measures of two sets of samples.

    Attributes
    ----------
    neighbourhoods : NeighbourhoodScores
        Precision, recall, density, coverage.
    kid : KernelDistance
    mmd : DiscrepancyTest
    two_sample : ClassifierTest
    frechet : FrechetDistance
    """

    neighbourhoods: NeighbourhoodScores
    kid: KernelDistance
    mmd: DiscrepancyTest
    two_sample: ClassifierTest
    frechet: FrechetDistance

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class FidelityReport:
    """The measures overall and per class.

    Attributes
    ----------
    feature_space : str
        Name of the space in which samples were compared.
    overall : FidelityScores
        All classes together; differences in the classes' shares count, too.
    per_class : dict from class name to FidelityScores
        Of the classes that have synthetic samples; empty without labels.
    notes : tuple of str
        Sentences for the user.
    """

    feature_space: str
    overall: FidelityScores
    per_class: dict[str, FidelityScores] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self) | {"notes": list(self.notes)}


def fidelity_scores(
    real: Float[np.ndarray, "n D"],
    synthetic: Float[np.ndarray, "m _"],
    config: FidelityConfig | None = None,
    random_state: int | Stream = 0,
) -> FidelityScores:
    """Return all measures of two sets of features.

    Parameters
    ----------
    real, synthetic : ndarray (n, D), (m, D)
        Features.
    config : FidelityConfig, optional
    random_state : int or Stream

    Raises
    ------
    InvalidInputError
        Too few samples for k or for the folds, other widths, values that are not finite.
    """
    config, stream = config or FidelityConfig(), as_stream(random_state)
    return FidelityScores(
        neighbourhood_scores(real, synthetic, config.k),
        kernel_inception_distance(real, synthetic, config.kid_blocks, stream),
        discrepancy_test(real, synthetic, num_permutations=config.mmd_permutations, random_state=stream),
        classifier_two_sample_test(
            real, synthetic, config.classifier, config.folds, config.classifier_permutations, stream
        ),
        frechet_distance(real, synthetic),
    )


def evaluate_fidelity(
    space: FeatureSpace,
    real: Shaped[np.ndarray, "n *shape"],
    synthetic: Shaped[np.ndarray, "m *_"],
    real_labels: Shaped[np.ndarray, " _"] | None = None,
    synthetic_labels: Shaped[np.ndarray, " _"] | None = None,
    config: FidelityConfig | None = None,
    random_state: int | Stream = 0,
) -> FidelityReport:
    """Compare samples in a fitted feature space, overall and, where labels are given, per class.

    Parameters
    ----------
    space : FeatureSpace
        Fitted on real training samples.
    real, synthetic : ndarray (n, ...), (m, ...)
        Samples; the real ones best held out.
    real_labels, synthetic_labels : ndarray (n,), (m,), optional
        Both or none.
    config : FidelityConfig, optional
    random_state : int or Stream

    Raises
    ------
    NotFittedError
        The space is not fitted.
    InvalidInputError
        Labels of another number than samples or of one set only, synthetic samples of an unknown class, too
        few samples in a class (the message names it), or as `FeatureSpace.transform`.
    """
    stream = as_stream(random_state)
    groups = _class_rows(real_labels, synthetic_labels, len(real), len(synthetic))
    features = space.transform(real), space.transform(synthetic)
    overall = fidelity_scores(*features, config, stream)
    per_class = {}
    for name, (real_rows, synthetic_rows) in groups.items():
        try:
            per_class[name] = fidelity_scores(
                features[0][real_rows], features[1][synthetic_rows], config, stream.child("class", name)
            )
        except InvalidInputError as error:
            raise InvalidInputError(f"class {name!r}: {error}") from error
    return FidelityReport(space.name, overall, per_class, tuple(_notes(overall, groups, real_labels)))


ClassRows = dict[str, tuple[np.ndarray, np.ndarray]]


def _class_rows(
    real_labels: np.ndarray | None, synthetic_labels: np.ndarray | None, num_real: int, num_synthetic: int
) -> ClassRows:
    """Return where the samples of each class that has synthetic ones are, in both sets."""
    if real_labels is None and synthetic_labels is None:
        return {}
    if real_labels is None or synthetic_labels is None:
        missing = "real" if real_labels is None else "synthetic"
        raise InvalidInputError(f"both sets need labels or none, the {missing} ones are missing: pass them")
    for name, labels, count in (
        ("real", real_labels, num_real),
        ("synthetic", synthetic_labels, num_synthetic),
    ):
        if len(labels) != count:
            raise InvalidInputError(
                f"each {name} sample needs one label, got {len(labels)} for {count}: pass as many"
            )
    names = [str(label) for label in np.unique(synthetic_labels)]
    # as text: one set's labels may be numbers, the other's class names from a folder
    real_names, synthetic_names = real_labels.astype(str), synthetic_labels.astype(str)
    unknown = [name for name in names if name not in real_names]
    if unknown:
        raise InvalidInputError(
            f"classes of synthetic samples must be among the real ones, {unknown[0]!r} is not: leave it out"
        )
    return {
        name: (np.flatnonzero(real_names == name), np.flatnonzero(synthetic_names == name)) for name in names
    }


def _notes(overall: FidelityScores, groups: ClassRows, real_labels: np.ndarray | None) -> list[str]:
    notes = [overall.frechet.note] if overall.frechet.note else []
    if real_labels is not None:
        missing = sorted(set(map(str, np.unique(real_labels))) - groups.keys())
        if missing:
            notes.append(
                f"No synthetic samples of {', '.join(missing)}: they count in the overall measures only."
            )
    return notes
