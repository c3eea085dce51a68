"""What rows put before a classifier, and fitted generators that are kept."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from riemaug.errors import InvalidInputError
from riemaug.evaluation.samples import LabelledSamples
from riemaug.study import fits
from riemaug.study.cells import parse_row
from riemaug.study.datasets import StudyData
from riemaug.study.place import Place
from riemaug.study.reduction import reduced
from riemaug.study.training_sets import new_samples, training_set


@pytest.fixture(scope="module")
def data() -> StudyData:
    """Two digits: 24 training, 8 validation, 40 test samples."""
    bunch = load_digits(n_class=2)
    samples = (bunch.images / 16).astype(np.float32)
    order = np.argsort(bunch.target, kind="stable").reshape(-1)
    by_class = [order[bunch.target[order] == label] for label in (0, 1)]
    parts = [
        np.concatenate([rows[low:high] for rows in by_class]) for low, high in ((0, 12), (12, 16), (16, 36))
    ]
    made = [LabelledSamples(samples[rows], bunch.target[rows].astype(np.int64)) for rows in parts]
    return StudyData("digits", 0, ("0", "1"), made[0], made[1], made[2], parts[0], parts[1])


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.mark.slow
def test_real_both_and_synthetic(data: StudyData, cache: Path) -> None:
    place = Place(Path(), cache)
    assert training_set(data, "raw", "real", 0, place).samples is data.train
    made = training_set(data, "vae_5", "synthetic", 0, place).samples
    assert made.counts(2) == (5, 5)
    assert made.samples.dtype == np.float32
    assert 0 <= made.samples.min() <= made.samples.max() <= 1
    both = training_set(data, "vae_5", "both", 0, place).samples
    np.testing.assert_array_equal(both.samples, np.concatenate([data.train.samples, made.samples]))
    for row, kind in (("raw", "both"), ("vae_5", "real")):
        with pytest.raises(InvalidInputError, match="row raw is trained on real samples"):
            training_set(data, row, kind, 0, place)


@pytest.mark.slow
def test_a_kept_generator_draws_the_same(
    data: StudyData, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(Path(), cache)
    first = new_samples(data, parse_row("vae_5"), 0, place)
    fitted = first.samples.samples
    monkeypatch.setattr(fits.DeepGenerator, "fit", None)  # a second fit would fail
    again = new_samples(data, parse_row("vae_5"), 0, place)
    np.testing.assert_array_equal(again.samples.samples, fitted)
    assert again.origin == first.origin
    assert len(first.origin["epochs"]) == 2
    with pytest.raises(TypeError):  # other samples, other fit
        new_samples(replace(data, train=data.train.take(np.arange(23))), parse_row("vae_5"), 0, place)


@pytest.mark.slow
def test_a_damaged_generator_is_fitted_anew(data: StudyData, tmp_path: Path) -> None:
    place = Place(Path(), tmp_path)
    first = new_samples(data, parse_row("vae_5"), 0, place)
    (weights,) = tmp_path.glob("*/model.safetensors")
    weights.write_bytes(weights.read_bytes()[:-100])
    again = new_samples(data, parse_row("vae_5"), 0, place)
    np.testing.assert_array_equal(again.samples.samples, first.samples.samples)
    assert len(list(tmp_path.glob("*.damaged-*"))) == 1


@pytest.mark.slow
def test_other_seeds_give_other_generators(data: StudyData, cache: Path) -> None:
    place = Place(Path(), cache)
    first, second = (new_samples(data, parse_row("vae_5"), seed, place).samples.samples for seed in (0, 1))
    assert not np.array_equal(first, second)
    assert len(list(cache.glob("digits-draw0-seed*-vae-*/model.safetensors"))) == 2


def test_reduced_sets_are_nested_and_leave_the_test_alone(data: StudyData) -> None:
    small, large = reduced(data, 4), reduced(data, 8)
    assert (small.name, small.train.counts(2), small.validation.counts(2)) == ("digits@4", (4, 4), (1, 1))
    assert large.validation.counts(2) == (2, 2)
    assert set(small.train_rows) < set(large.train_rows) < set(data.train_rows)
    assert small.test is data.test
    for size in (0, 13):
        with pytest.raises(InvalidInputError, match="from 1 to 12 samples of class '0'"):
            reduced(data, size)
