"""SMOTE: new samples lie between neighbours of one class."""

import sys

import numpy as np
import pytest
from scipy import stats

from riemaug.baselines.smote import Smote, interpolated
from riemaug.errors import InvalidInputError
from riemaug.evaluation.samples import LabelledSamples
from riemaug.random import Stream

needs_smote = pytest.mark.skipif(
    not __import__("importlib.util").util.find_spec("imblearn"), reason="needs the extra smote"
)


def distance_to_segments(points: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Distances of points (m, D) to the segments from starts (s, D) to ends (s, D), (m, s)."""
    way = ends - starts
    gap = points[:, None] - starts
    share = np.clip((gap * way).sum(-1) / (way * way).sum(-1), 0.0, 1.0)
    return np.linalg.norm(gap - share[..., None] * way, axis=-1)


@needs_smote
def test_new_points_lie_between_near_neighbours() -> None:
    points = np.random.default_rng(0).standard_normal((30, 4))
    gaps = np.linalg.norm(points[:, None] - points, axis=-1)
    order = gaps.argsort(1)[:, 1:]
    drawn = interpolated(points, 200, Stream(0), num_neighbors=3)
    own = np.repeat(np.arange(30), 3)
    found = distance_to_segments(drawn, points[own], points[order[:, :3].ravel()])
    assert found.min(1).max() < 1e-12
    # with one neighbour a point only has 30 segments: most of the draws above lie elsewhere
    nearest = distance_to_segments(drawn, points, points[order[:, 0]]).min(1)
    assert (nearest > 1e-6).mean() > 0.3


@needs_smote
def test_places_between_two_points_are_uniform() -> None:
    drawn = interpolated(np.array([[0.0, 2.0], [1.0, 2.0]]), 400, Stream(1))
    assert np.array_equal(drawn[:, 1], np.full(400, 2.0))
    # failure probability 1e-3
    assert stats.kstest(drawn[:, 0], "uniform").pvalue > 1e-3


@needs_smote
def test_classes_of_any_size_get_any_number() -> None:
    rng = np.random.default_rng(0)
    samples = rng.random((13, 3, 4), dtype=np.float32)
    labels = np.array([0] * 2 + [1] * 10 + [3])
    training = LabelledSamples(samples, labels.astype(np.int64))
    with pytest.raises(InvalidInputError, match="needs 2 or more, class 3 has 1: leave it out"):
        Smote().fit(training, 4, Stream(0))
    fitted = Smote().fit(training.take(labels < 3), 3, Stream(0))
    drawn = fitted.sample([7, 1, 0], Stream(0))
    assert drawn.counts(3) == (7, 1, 0)
    pair = samples[:2].reshape(2, -1).astype(float)
    between = distance_to_segments(drawn.of_class(0).reshape(7, -1).astype(float), pair[:1], pair[1:])
    assert between.max() < 1e-6
    # a class is drawn alike whatever is asked of the others
    np.testing.assert_array_equal(fitted.sample([7, 30, 0], Stream(0)).of_class(0), drawn.of_class(0))


@needs_smote
def test_one_class_alone_will_do() -> None:
    samples = np.random.default_rng(0).random((6, 5), dtype=np.float32)
    drawn = Smote().fit(LabelledSamples(samples, np.zeros(6, np.int64)), 1, Stream(0)).sample([4], Stream(0))
    assert drawn.samples.shape == (4, 5)
    assert drawn.samples.dtype == np.float32


@needs_smote
def test_few_points_and_neighbours_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="needs 2 or more, got 1"):
        interpolated(np.zeros((1, 2)), 3, Stream(0))
    training = LabelledSamples(np.zeros((4, 2), np.float32), np.zeros(4, np.int64))
    with pytest.raises(InvalidInputError, match="SMOTE needs 1 neighbour or more, got 0"):
        Smote(0).fit(training, 1, Stream(0))


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "imblearn.over_sampling", None)
    training = LabelledSamples(np.zeros((4, 2), np.float32), np.zeros(4, np.int64))
    with pytest.raises(InvalidInputError, match=r"pip install 'riemaug\[smote\]'"):
        Smote().fit(training, 1, Stream(0))
