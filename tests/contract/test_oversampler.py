"""What `ManifoldOverSampler` promises beside the checks of imbalanced-learn."""

import importlib
import pickle
import sys
from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
import pytest
from imblearn.pipeline import Pipeline
from scipy.sparse import csc_array
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_validate

from riemaug.augmentor import Augmentor
from riemaug.errors import InvalidInputError
from riemaug.oversampling import ManifoldOverSampler
from tests.contract.small import digits


def cheap(**settings: Any) -> ManifoldOverSampler:
    values: dict[str, Any] = {"max_epochs": 1, "model": "vae", "random_state": 0, "n_jobs": 1}
    return ManifoldOverSampler(**(values | settings))


def uneven(num_classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Images 8 x 8 of 12, 8, 4, ... digits of the classes 0, 1, 2, ... in mixed order."""
    data, labels = digits(num_classes)
    rows = np.concatenate([np.flatnonzero(labels == label)[: 12 - 4 * label] for label in range(num_classes)])
    rows = np.random.default_rng(0).permutation(rows)
    return data[rows], labels[rows]


# amounts


@pytest.mark.parametrize(
    ("strategy", "sizes", "learned"),
    [
        ("auto", {0: 12, 1: 12, 2: 12}, [1, 2]),
        ("minority", {0: 12, 1: 8, 2: 12}, [2]),
        ({1: 11}, {0: 12, 1: 11, 2: 4}, [1]),
        ({0: 13, 1: 8, 2: 4}, {0: 13, 1: 8, 2: 4}, [0]),
    ],
)
@pytest.mark.filterwarnings("ignore:After over-sampling:UserWarning")
def test_classes_that_are_asked_for_are_learned_and_filled_alone(
    strategy: Any, sizes: dict[int, int], learned: list[int]
) -> None:
    data, labels = uneven()
    sampler = cheap(sampling_strategy=strategy)
    samples, new_labels = sampler.fit_resample(data, labels)
    assert Counter(new_labels.tolist()) == sizes
    assert np.array_equal(samples[: len(data)], data)
    assert np.array_equal(new_labels[: len(data)], labels)
    assert sampler.augmentor_.classes_.tolist() == learned


def test_a_class_alone_is_learned_as_it_is_among_others() -> None:
    data, labels = uneven()
    made = cheap().fit_resample(data, labels)[0][len(data) :]
    for label, count in ((1, 4), (2, 8)):
        own = made[:4] if label == 1 else made[4:]
        assert len(own) == count
        direct = Augmentor(max_epochs=1, model="vae", random_state=0, n_jobs=1)
        chosen = labels > 0
        assert np.array_equal(direct.fit(data[chosen], labels[chosen]).sample({label: count})[0], own)


def test_classes_that_share_a_model_are_all_learned_but_a_lone_sample() -> None:
    data, labels = uneven()
    labels[np.flatnonzero(labels == 0)[0]] = 9
    sampler = cheap(preset="conditional", sharing="always", sampling_strategy={2: 6})
    _, new_labels = sampler.fit_resample(data, labels)
    assert Counter(new_labels.tolist()) == {0: 11, 1: 8, 2: 6, 9: 1}
    assert sampler.augmentor_.classes_.tolist() == [0, 1, 2]


def test_where_nothing_lacks_nothing_is_learned() -> None:
    data, labels = digits()
    sampler = cheap()
    samples, new_labels = sampler.fit_resample(data, labels)
    assert sampler.augmentor_ is None
    assert np.array_equal(samples, data)
    assert samples is not data
    assert np.array_equal(new_labels, labels)


# random states


def test_a_seed_repeats_and_a_random_state_goes_on() -> None:
    data, labels = uneven(2)
    first, again = (cheap(random_state=3).fit_resample(data, labels)[0] for _ in range(2))
    assert np.array_equal(first, again)
    sampler = cheap(random_state=np.random.RandomState(3))
    others = [sampler.fit_resample(data, labels)[0] for _ in range(2)]
    assert not np.array_equal(*others)
    twin = clone(cheap(random_state=np.random.RandomState(3)))
    assert np.array_equal(twin.fit_resample(data, labels)[0], others[0])


# images


@pytest.mark.parametrize(
    "axes",
    [(8, 8), (1, 8, 8), *(pytest.param(axes, marks=pytest.mark.slow) for axes in [(2, 4, 8), (4, 4, 4)])],
)
def test_images_and_flat_rows_with_their_shape_are_the_same(axes: tuple[int, ...]) -> None:
    data, labels = uneven(2)
    images = data.reshape(-1, *axes)
    made, new_labels = cheap().fit_resample(images, labels)
    assert made.shape == (24, *axes)
    assert made.dtype == np.uint8
    flat, flat_labels = cheap(image_shape=axes).fit_resample(images.reshape(-1, 64), labels)
    assert flat.shape == (24, 64)
    assert np.array_equal(flat.reshape(made.shape), made)
    assert np.array_equal(new_labels, flat_labels)
    table = cheap().fit_resample(images.reshape(-1, 64), labels)[0]
    assert not np.array_equal(table, flat)


@pytest.mark.parametrize(
    ("axes", "axis"), [((3, 6, 6), 0), ((6, 6, 3), 2), ((6, 6), None), ((6, 6, 6), None)]
)
def test_which_axis_holds_channels(axes: tuple[int, ...], axis: int | None) -> None:
    data = np.random.default_rng(0).uniform(size=(12, *axes)).astype(np.float32)
    sampler = cheap(network="conv").fit(data, np.repeat([0, 1], [8, 4]))
    sampler.fit_resample(data, np.repeat([0, 1], [8, 4]))
    assert sampler.sample_shape_ == axes
    assert sampler.augmentor_.generators_.classes[0].model.config.channel_axis == axis


# containers


def table() -> tuple[pd.DataFrame, pd.Series]:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "age": rng.integers(20, 90, 20),
            "dose": rng.uniform(0, 1e-3, 20).astype(np.float32),
            "smokes": rng.integers(0, 2, 20).astype(bool),
            "visits": pd.array(rng.integers(1, 6, 20), dtype="Int64"),
            "site": np.full(20, 7, dtype=np.uint8),
        },
        index=[f"p{i}" for i in range(20)],
    )
    state = pd.Series(["well"] * 14 + ["ill"] * 6, index=frame.index, name="state", dtype="category")
    return frame, state


def test_a_data_frame_keeps_columns_dtypes_and_ranges() -> None:
    frame, state = table()
    kept = frame.copy()
    made, new_state = cheap(max_epochs=20).fit_resample(frame, state)
    pd.testing.assert_frame_equal(frame, kept)
    assert made.dtypes.equals(frame.dtypes)
    assert isinstance(made.index, pd.RangeIndex)
    assert made.index.equals(new_state.index)
    pd.testing.assert_frame_equal(made[:20], frame.reset_index(drop=True))
    assert (new_state.name, new_state.dtype) == ("state", state.dtype)
    assert new_state.value_counts().to_dict() == {"well": 14, "ill": 14}
    ill, new = frame[state == "ill"], made[20:]
    for name in frame:
        assert new[name].between(ill[name].min(), ill[name].max()).all(), name
    assert new["age"].nunique() > 1


def test_columns_of_whole_numbers_are_rounded_not_cut() -> None:
    frame = pd.DataFrame({"x": np.linspace(0.0, 1.0, 12), "n": [0] * 8 + [10, 11, 10, 11]})
    sampler = cheap()
    made, _ = sampler.fit_resample(frame, [0] * 8 + [1] * 4)
    direct, _ = sampler.augmentor_.sample({1: 4})
    assert made["n"][12:].tolist() == np.rint(direct[:, 1]).tolist()
    assert made["n"].dtype == frame["n"].dtype


def test_a_data_frame_keeps_decimals_categories_and_times() -> None:
    frame, state = table()
    frame = frame.assign(
        weight=np.random.default_rng(1).uniform(40, 90, 20).round(2),
        arm=["a", "b", "c", "b"] * 5,
        size=pd.Categorical(["s", "m"] * 10, ["s", "m", "l"], ordered=True),
        seen=pd.to_datetime(["2024-01-01", "2024-02-03"] * 10),
    )
    made, _ = cheap().fit_resample(frame, state)
    pd.testing.assert_frame_equal(made[:20], frame.reset_index(drop=True))
    assert made.dtypes.equals(frame.dtypes)
    assert (made["weight"].round(2) == made["weight"]).all()
    assert made["weight"][20:].nunique() > 1
    assert set(made["arm"]) == {"a", "b", "c"}


def test_a_data_frame_of_pixels_is_modelled_as_images() -> None:
    data, labels = uneven(2)
    rows = data.reshape(len(data), -1)
    sampler = cheap(image_shape=(8, 8))
    made, _ = sampler.fit_resample(pd.DataFrame(rows), labels)
    assert sampler.sample_shape_ == (8, 8)
    assert np.array_equal(made.to_numpy(), sampler.fit_resample(rows, labels)[0])


def test_a_sparse_array_keeps_its_kind() -> None:
    data, labels = uneven(2)
    rows = data.reshape(len(data), -1)
    made, _ = cheap().fit_resample(csc_array(rows), labels)
    assert isinstance(made, csc_array)
    assert np.array_equal(made.toarray(), cheap().fit_resample(rows, labels)[0])


def test_a_fitted_sampler_can_be_pickled() -> None:
    data, labels = uneven(2)
    sampler = cheap()
    made, _ = sampler.fit_resample(data, labels)
    twin = pickle.loads(pickle.dumps(sampler))
    assert np.array_equal(twin.augmentor_.sample({1: 4})[0], made[len(data) :])


# refusals


def bad_input() -> dict[str, tuple[dict[str, Any], Any, Any, str]]:
    data, labels = uneven(2)
    rows = data.reshape(len(data), -1).astype(float)
    holes = rows.copy()
    holes[3, 5] = np.nan
    lone = np.where(np.arange(len(labels)) == 0, 1, 0)
    frame, state = table()
    return {
        "gap": ({}, holes, labels, "complete and finite"),
        "infinite": ({}, np.where(np.isnan(holes), np.inf, holes), labels, "complete and finite"),
        "gap in a frame": ({}, pd.DataFrame(holes), labels, "no missing cells.*drop these columns from X$"),
        "durations": ({}, frame.assign(wait=pd.to_timedelta([1, 2] * 10, "h")), state, "'wait' holds"),
        "infinite in a frame": ({}, frame.assign(dose=np.inf), state, "drop the rows, or drop it from X$"),
        "a name twice": ({}, pd.concat([frame, frame[["age"]]], axis=1), state, "'age' is there twice"),
        "labels of a frame too few": ({}, frame, state[:-1], "inconsistent numbers of samples"),
        "one side": ({"image_shape": 64}, rows, labels, r"two to four whole numbers .* got 64"),
        "sides as text": ({"image_shape": "88"}, rows, labels, "two to four whole numbers .* got '88'"),
        "sides below zero": ({"image_shape": (-8, -8)}, rows, labels, "two to four whole numbers"),
        "wrong shape": ({"image_shape": (7, 8)}, rows, labels, "must make 64 values"),
        "two shapes": ({"image_shape": (4, 16)}, data, labels, "is for flat samples"),
        "lone sample": ({}, rows, lone, "at least 2 rows"),
        "constant class": ({}, np.where(labels[:, None] == 1, 4.0, rows), labels, "are identical"),
        "bad setting": ({"latent_dim": 0}, rows, labels, "latent_dim"),
        "labels too few": ({}, rows, labels[:-1], "inconsistent numbers of samples"),
        "ragged": ({}, [[1.0, 2.0], [3.0]], [0, 1], "inhomogeneous"),
    }


@pytest.mark.parametrize("name", bad_input())
def test_bad_input_is_refused_in_one_line(name: str) -> None:
    settings, data, labels, words = bad_input()[name]
    with pytest.raises(InvalidInputError, match=words) as caught:
        cheap().set_params(**settings).fit_resample(data, labels)
    assert "\n" not in str(caught.value)


def test_without_imbalanced_learn_one_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "imblearn"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "imblearn", None)
    monkeypatch.delitem(sys.modules, "riemaug.oversampling")
    with pytest.raises(ImportError, match=r"pip install 'riemaug\[smote\]'") as caught:
        importlib.import_module("riemaug.oversampling")
    assert "\n" not in str(caught.value)


# pipelines


def test_in_cross_validation_only_training_rows_are_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    data, labels = digits()
    kept = np.r_[0:12, 12:18]
    rows, labels = data.reshape(len(data), -1)[kept].astype(float), labels[kept]
    learned: list[np.ndarray] = []
    fit = Augmentor.fit

    def watched(self: Augmentor, X: np.ndarray, y: np.ndarray) -> Augmentor:
        learned.append(X.reshape(len(X), -1))
        return fit(self, X, y)

    monkeypatch.setattr(Augmentor, "fit", watched)
    steps = [("over", cheap(image_shape=(8, 8))), ("model", LogisticRegression())]
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    found = cross_validate(
        Pipeline(steps), rows, labels, cv=folds, error_score="raise", return_estimator=True
    )
    assert len(learned) == 3
    for seen, pipeline, (train, test) in zip(
        learned, found["estimator"], folds.split(rows, labels), strict=True
    ):
        own = {row.tobytes() for row in rows[train][labels[train] == 1]}
        assert {row.tobytes() for row in seen} == own
        assert own.isdisjoint(row.tobytes() for row in rows[test])
        assert pipeline.named_steps["over"].sampling_strategy_ == {1: 4}
    assert (found["test_score"] > 0.5).all()


def test_a_pipeline_sets_its_parameters_and_takes_images() -> None:
    data, labels = uneven(2)
    pipeline = Pipeline([("over", cheap()), ("flat", _Flat()), ("model", LogisticRegression())])
    pipeline.set_params(over__inverse_temperature=1.0, over__sampling_strategy="all")
    pipeline.fit(data, labels)
    assert pipeline.predict(data).shape == labels.shape


class _Flat:
    def fit(self, X: np.ndarray, y: np.ndarray) -> "_Flat":
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        return X.reshape(len(X), -1) / 255
