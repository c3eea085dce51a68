"""What every generator of the registry keeps to."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pytest
import torch

from riemaug.baselines.base import FittedSampleGenerator, checked_counts, grouped_by_class
from riemaug.baselines.deep import DeepGenerator, FittedDeepGenerator
from riemaug.baselines.registry import BASELINES, baseline_named
from riemaug.errors import InvalidInputError
from riemaug.evaluation.samples import LabelledSamples
from riemaug.random import Stream
from riemaug.samplers import ChainOptions, chain_sampler

COUNTS = (3, 0, 2)
Fit = Callable[[str], FittedSampleGenerator]


@pytest.fixture(autouse=True)
def _short_chains(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is tested here holds for chains of any length; their laws have tests of their own."""
    short = partial(ChainOptions, num_steps=10, num_chains=8, num_tuning_steps=10)
    monkeypatch.setattr(chain_sampler, "ChainOptions", short)


@pytest.fixture(scope="module")
def fitted(digits: LabelledSamples, fitted_model: Callable[[str], FittedDeepGenerator]) -> Fit:
    def fit(name: str) -> FittedSampleGenerator:
        if "smote" in name:
            pytest.importorskip("imblearn", reason="needs the extra smote")
        generator = baseline_named(name)
        if isinstance(generator, DeepGenerator):  # one short fit serves all laws of a model
            return fitted_model(generator.model).with_law(generator.law)
        return generator.fit(digits, 3, Stream(0, ("fit",)))

    return fit


_DEAR = ("conditional", "hmc")
_CASES = [pytest.param(name, marks=[pytest.mark.slow] if name in _DEAR else []) for name in BASELINES]


@pytest.mark.parametrize("name", _CASES)
def test_samples_of_a_stream(name: str, fitted: Fit, digits: LabelledSamples) -> None:
    generator = fitted(name)
    state = torch.get_rng_state()
    legacy = np.random.get_state()[1].copy()  # noqa: NPY002
    drawn = generator.sample(COUNTS, Stream(5, ("draw",)))
    assert torch.equal(torch.get_rng_state(), state)
    assert np.array_equal(np.random.get_state()[1], legacy)  # noqa: NPY002
    assert drawn.samples.dtype == np.float32
    assert drawn.samples.shape == (5, 8, 8)
    assert drawn.labels.tolist() == [0, 0, 0, 2, 2]
    assert drawn.samples.min() >= 0
    assert drawn.samples.max() <= 1
    # a class is drawn alike whatever is asked of the others
    again, other = (generator.sample((3, 0, 0), Stream(seed, ("draw",))) for seed in (5, 6))
    assert again.samples.tobytes() == drawn.of_class(0).tobytes()
    for row in range(3):
        assert not np.array_equal(again.samples[row], other.samples[row])


@pytest.mark.parametrize("name", ["classic-x5", "smote", "vae-prior"])
@pytest.mark.parametrize("counts", [(1, 2), (1, 2, 3, 4), (1, -1, 2)])
def test_other_counts_are_refused(name: str, counts: Sequence[int], fitted: Fit) -> None:
    with pytest.raises(InvalidInputError):
        fitted(name).sample(counts, Stream(0))


@pytest.mark.parametrize("name", ["classic-x5", "smote", "vae-prior"])
def test_no_samples_at_all(name: str, fitted: Fit) -> None:
    drawn = fitted(name).sample((0, 0, 0), Stream(0))
    assert drawn.samples.shape == (0, 8, 8)
    assert drawn.samples.dtype == np.float32


def test_counts_are_one_integer_a_class() -> None:
    assert checked_counts([2, 0], (5, 0)) == [2, 0]
    with pytest.raises(InvalidInputError, match="2 integers of 0 or more, one for each class, got \\[1\\]"):
        checked_counts([1], (5, 5))
    with pytest.raises(InvalidInputError, match="class 1 has none and 3 were asked for"):
        checked_counts([1, 3], (5, 0))


def test_groups_are_numbered_in_order() -> None:
    parts = [np.full((size, 2), size, np.float32) for size in (1, 0, 2)]
    joined = grouped_by_class(parts)
    assert joined.labels.tolist() == [0, 2, 2]
    assert joined.samples[:, 0].tolist() == [1, 2, 2]
