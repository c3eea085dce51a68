"""What estimators tell of their draws and of the data: figures of each class, and a warning if it matters."""

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import ConvergenceWarning

from riemaug.augmentor import Augmentor
from riemaug.data import restore_samples
from riemaug.estimator_warnings import CopiesWarning, SamplerConvergenceWarning
from riemaug.oversampling import ManifoldOverSampler
from riemaug.samplers import Diagnostics
from tests.contract.small import digits, quick


def with_sampler(fitted: Augmentor, sampler: str) -> Augmentor:
    """The same models with another sampler."""
    twin = quick(max_epochs=30, sampler=sampler)
    vars(twin).update({name: value for name, value in vars(fitted).items() if name.endswith("_")})
    return twin


@pytest.mark.usefixtures("unchecked")
def test_draws_that_are_of_another_law_are_warned_of(fitted: Augmentor) -> None:
    augmentor = with_sampler(fitted, "walk-paper")
    with pytest.warns(SamplerConvergenceWarning, match="class '1': .*converged") as heard:
        samples, _ = augmentor.sample({1: 20})
    assert [issubclass(item.category, ConvergenceWarning) for item in heard] == [True]
    assert list(augmentor.diagnostics_) == [1]
    told = augmentor.diagnostics_[1]
    assert told.converged is False
    assert told.message in str(heard[0].message)
    # the same draws, and the same figures, as of the sampler itself
    item, config = fitted.generators_.classes[1], augmentor._sampling_config(augmentor.random_state_)
    drawn = item.sampler(config).sample(20, item.draw_stream(config.seed))
    unit = item.decode(drawn.points).numpy().reshape(20, 8, 8)
    expected = restore_samples(unit, fitted.scaler_, fitted.generators_.sample_format)
    assert np.array_equal(samples, expected)
    assert told.to_dict() == drawn.diagnostics.to_dict()


def test_of_each_class_the_figures_of_the_last_draws_are_kept(fitted: Augmentor) -> None:
    augmentor = with_sampler(fitted, "mixture")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        augmentor.sample({0: 9, 1: 0})
        assert {label: told.num_draws for label, told in augmentor.diagnostics_.items()} == {0: 9}
        augmentor.sample(4)
    assert {label: told.num_draws for label, told in augmentor.diagnostics_.items()} == {0: 4, 1: 4}
    assert all(told.converged is True and told.message for told in augmentor.diagnostics_.values())
    augmentor.fit(*digits())
    assert not hasattr(augmentor, "diagnostics_")


def test_draws_that_were_dropped_as_copies_count(fitted: Augmentor) -> None:
    augmentor = with_sampler(fitted, "mixture")
    planted = augmentor.sample({0: 3})[0]
    data, labels = digits()
    training = np.concatenate([data, planted]), np.concatenate([labels, [1, 1, 1]])
    augmentor.sample({0: 5}, drop_copies=training)
    assert augmentor.diagnostics_[0].num_draws >= 8


def test_too_many_copies_have_a_warning_of_their_own() -> None:
    rng = np.random.default_rng(0)
    data, labels = rng.integers(0, 2, (24, 2)).astype(np.uint8), np.repeat([0, 1], 12)
    data[:12, 1] = 0
    augmentor = quick(max_epochs=20).fit(data, labels)
    with pytest.warns(CopiesWarning, match="0 samples instead of 5"):
        augmentor.sample({0: 5}, drop_copies=(data, labels))


@pytest.mark.usefixtures("unchecked")
def test_the_over_sampler_warns_and_tells_too() -> None:
    data, labels = digits()
    rows = np.r_[0:12, 12:18]
    settings: dict[str, Any] = {"max_epochs": 3, "random_state": 0, "n_jobs": 1}
    over = ManifoldOverSampler(sampler="walk-paper", **settings)
    with pytest.warns(SamplerConvergenceWarning, match="class '1'"):
        over.fit_resample(data[rows], labels[rows])
    assert {label: type(told) for label, told in over.diagnostics_.items()} == {1: Diagnostics}
    assert over.diagnostics_[1].num_draws == 6
    over.fit_resample(data, labels)
    assert over.diagnostics_ == {}


def test_notes_are_those_of_the_command_line() -> None:
    frame = pd.DataFrame({"a": np.arange(16) ** 2, "b": 7, "c": np.sin(np.arange(16))})
    notes = quick(model="vae").fit(frame, np.repeat([0, 1], 8)).notes_
    assert any("Constant columns are not modelled and written as they are: 'b'." in note for note in notes)
    data, labels = digits()
    data[1] = data[0]
    alone = quick(model="vae").fit(data[:12], labels[:12])
    assert any("exact copies" in note for note in alone.notes_), alone.notes_
