"""Volumes of few slices are modelled as volumes where the estimators, or the data's format, say so."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone

from riemaug.augmentor import Augmentor
from riemaug.baselines.deep import DeepGenerator
from riemaug.config import Amount
from riemaug.data import SampleFormat
from riemaug.data.arrays import dataset_of_arrays
from riemaug.errors import InvalidInputError
from riemaug.evaluation.cross_validation import samples_by
from riemaug.evaluation.samples import LabelledSamples
from riemaug.evaluation.settings import EvaluationConfig
from riemaug.models.conditional import channel_axis_of
from riemaug.random import Stream
from tests.contract.small import quick

SLICES = (3, 16, 16)
QUICK: dict[str, Any] = {
    "preset": "paper",
    "model": "vae",
    "network": "conv",
    "max_epochs": 1,
    "n_jobs": 1,
    "device": "cpu",
}


def thin_volumes() -> tuple[np.ndarray, np.ndarray]:
    """Return 12 volumes of three slices in two classes."""
    values = np.random.default_rng(0).integers(0, 200, (12, *SLICES)).astype(np.uint8)
    labels = np.repeat([0, 1], [8, 4])
    values[labels == 1] += 55
    return values, labels


def channel_axis(augmentor: Augmentor) -> int | None:
    return augmentor.generators_.classes[0].model.config.channel_axis


@pytest.mark.parametrize(("num_sides", "axis"), [(None, 0), (2, 0), (3, None)])
def test_sides_that_are_told_are_no_channels(num_sides: int | None, axis: int | None, tmp_path: Path) -> None:
    augmentor = _copied(Augmentor(**QUICK, random_state=0, num_sides=num_sides)).fit(*thin_volumes())
    assert channel_axis(augmentor) == axis
    assert augmentor.sample(2)[0].shape == (4, *SLICES)
    augmentor.save(tmp_path / "model")
    loaded = Augmentor.load(tmp_path / "model")
    assert loaded.get_params()["num_sides"] == num_sides
    assert np.array_equal(loaded.sample(2)[0], augmentor.sample(2)[0])


def test_what_is_told_is_part_of_what_a_fit_is_known_by(tmp_path: Path) -> None:
    augmentor = Augmentor(**QUICK, random_state=0, num_sides=3).fit_in(tmp_path, *thin_volumes())
    assert channel_axis(augmentor) is None
    with pytest.raises(InvalidInputError):
        _copied(augmentor).set_params(num_sides=2).fit_in(tmp_path, *thin_volumes())


def _copied(augmentor: Augmentor) -> Augmentor:
    copy = clone(augmentor)
    assert isinstance(copy, Augmentor)
    return copy


@pytest.mark.parametrize("is_flat", [False, True])
def test_the_over_sampler_is_told_too(is_flat: bool) -> None:
    over = pytest.importorskip("riemaug.oversampling")
    values, labels = thin_volumes()
    settings = QUICK | {"random_state": 0, "num_sides": 3}
    if is_flat:
        values, settings = values.reshape(12, -1), settings | {"image_shape": SLICES}
    sampler = over.ManifoldOverSampler(**settings)
    made, _ = sampler.fit_resample(values, labels)
    assert made.shape == (16, *values.shape[1:])
    assert channel_axis(sampler.augmentor_) is None


@pytest.mark.parametrize(
    ("num_sides", "shape", "words"),
    [
        (1, SLICES, "must be 2 for images, 3 for volumes, or None .* got 1"),
        ("3", SLICES, "must be 2 for images, 3 for volumes, or None .* got '3'"),
        (True, SLICES, "must be 2 for images, 3 for volumes, or None .* got True"),
        (3, (16, 16), r"num_sides=3 have 3 axes, or one more .* shape \(16, 16\)"),
        (2, (16,), r"num_sides=2 have 2 axes, or one more .* shape \(16,\)"),
        (2, (1, 3, 8, 8), r"num_sides=2 have 2 axes, or one more .* shape \(1, 3, 8, 8\)"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_sides_that_cannot_be_are_refused_in_one_line(
    num_sides: Any, shape: tuple[int, ...], words: str
) -> None:
    values = np.random.default_rng(0).uniform(size=(12, *shape))
    for estimator in (quick(num_sides=num_sides), _over_sampler(num_sides)):
        fit = getattr(estimator, "fit_resample", None) or estimator.fit
        with pytest.raises(InvalidInputError, match=words) as caught:
            fit(values, np.repeat([0, 1], [8, 4]))
        assert "\n" not in str(caught.value)


def _over_sampler(num_sides: Any) -> Any:
    over = pytest.importorskip("riemaug.oversampling")
    return over.ManifoldOverSampler(num_sides=num_sides, max_epochs=1)


@pytest.mark.parametrize(
    ("shape", "num_sides", "axis"),
    [
        ((3, 16, 16), 2, 0),
        ((16, 16, 3), 2, 2),
        ((3, 16, 4), 2, 2),
        ((16, 16, 8), 2, 2),
        ((3, 16, 16), 3, None),
        ((1, 3, 16, 16), 3, 0),
        ((3, 16, 16, 2), 3, 3),
        ((16, 16), 2, None),
    ],
)
def test_which_axis_is_left_for_channels(shape: tuple[int, ...], num_sides: int, axis: int | None) -> None:
    assert channel_axis_of(shape, num_sides) == axis


class Told:
    """A generator that keeps what it was told and gives back what it was fitted on."""

    told: list[int | None] = []

    def __init__(self, num_sides: int | None = None) -> None:
        self.num_sides = num_sides

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        return {"num_sides": self.num_sides}

    def set_params(self, **params: Any) -> "Told":
        vars(self).update(params)
        return self

    def fit(self, X: Any, y: Any) -> "Told":
        Told.told.append(self.num_sides)
        self.X, self.y = X, y
        return self

    def sample(self, num_samples: Any) -> tuple[np.ndarray, np.ndarray]:
        return self.X, self.y


@pytest.mark.parametrize(
    ("kind", "chosen", "of_arrays", "told"),
    [
        ("stacks", None, 0, 3),
        ("stacks", 2, 0, 2),
        ("arrays", None, 0, None),
        ("arrays", None, 3, 3),
        ("arrays", None, 1, None),
    ],
)
def test_the_generator_of_a_cross_validation_is_told_what_the_format_tells(
    kind: Any, chosen: int | None, of_arrays: int, told: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Told, "told", [])
    plain = dataset_of_arrays(*thin_volumes())
    fmt = plain.format if kind == "arrays" else SampleFormat(kind, SLICES, "uint8", ".tiff", None, False)
    config = EvaluationConfig(num_sides=of_arrays, amount=Amount(factor=2))
    samples_by(Told(chosen), config)(replace(plain, format=fmt), 0, None)
    assert Told.told == [told]


@pytest.mark.parametrize(("num_sides", "axis"), [(0, 0), (3, None)])
def test_baselines_model_what_they_are_given(num_sides: int, axis: int | None) -> None:
    values, labels = thin_volumes()
    training = LabelledSamples(values.astype(np.float32) / 255, labels.astype(np.int64), num_sides)
    options = {"network": "conv", "max_epochs": 1}
    fitted = DeepGenerator("vae", "prior", num_jobs=1, device="cpu", **options).fit(training, 2, Stream(0))
    assert channel_axis(fitted.augmentor) == axis
