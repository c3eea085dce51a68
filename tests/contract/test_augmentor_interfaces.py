"""`Augmentor` among scikit-learn's estimators: pandas, random states, fitted attributes, copies left out."""

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn.exceptions
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from riemaug.augmentor import Augmentor
from riemaug.errors import InvalidInputError, NotFittedError
from tests.contract.small import digits, quick

SLOW = pytest.mark.slow


def table() -> tuple[pd.DataFrame, pd.Series]:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "age": rng.integers(20, 90, 16),
            "dose": rng.uniform(0, 1e-3, 16).astype(np.float32),
            "smokes": rng.integers(0, 2, 16).astype(bool),
            "visits": pd.array(rng.integers(1, 6, 16), dtype="Int64"),
            "weight": pd.array(rng.uniform(50, 90, 16), dtype="Float64"),
        },
        index=range(100, 116),
    )
    return frame, pd.Series(["ill", "well"] * 8, index=frame.index, name="state")


# pandas


@pytest.mark.parametrize(
    "dtype",
    [None, "category", pytest.param("object", marks=SLOW), pytest.param("string", marks=SLOW)],
)
def test_tables_keep_columns_dtypes_ranges_and_the_labels_their_name(dtype: str | None) -> None:
    frame, state = table()
    state = state if dtype is None else state.astype(dtype)
    kept = frame.copy()
    made, labels = quick(model="vae").fit(frame, state).sample(9)
    pd.testing.assert_frame_equal(frame, kept)
    assert made.dtypes.equals(frame.dtypes)
    assert (labels.name, labels.dtype) == ("state", state.dtype)
    assert labels.tolist() == ["ill"] * 9 + ["well"] * 9
    assert isinstance(made.index, pd.RangeIndex)
    assert made.index.equals(labels.index)
    for name in frame:
        assert made[name].between(frame[name].min(), frame[name].max()).all(), name
    assert made["weight"].nunique() > 2


def test_pixels_as_columns_keep_their_dtype_and_constant_ones_their_value() -> None:
    data, labels = digits()
    frame = pd.DataFrame(data.reshape(len(data), -1))
    augmentor = quick(model="vae").fit(frame, labels)
    made, new_labels = augmentor.sample(3)
    assert set(made.dtypes) == {np.dtype(np.uint8)}
    assert (made[0] == frame[0][0]).all()
    assert frame[0].nunique() == 1
    assert isinstance(new_labels, np.ndarray)
    assert augmentor.n_features_in_ == 64
    assert not hasattr(augmentor, "feature_names_in_")  # the columns' names are numbers


def test_categories_text_and_dates_are_drawn_too_and_saved(tmp_path: Path) -> None:
    frame, state = table()
    frame = frame.assign(
        arm=pd.Categorical(["a", "b", "c", "b"] * 4, categories=["c", "b", "a"], ordered=True),
        town=["Bern", "Genf"] * 8,
        seen=pd.date_range("2020-01-01", periods=16),
    )
    augmentor = quick(model="vae").fit(frame, state)
    made, labels = augmentor.sample(9)
    assert made.dtypes.equals(frame.dtypes)
    assert set(made["town"]) <= {"Bern", "Genf"}
    assert set(made["arm"]) <= set("abc")
    assert made["seen"].between(frame["seen"].min(), frame["seen"].max()).all()
    assert augmentor.n_features_in_ == 8
    augmentor.save(tmp_path)
    loaded = Augmentor.load(tmp_path)
    assert loaded.n_features_in_ == 8
    assert loaded.feature_names_in_.tolist() == augmentor.feature_names_in_.tolist() == list(frame)
    again, same = loaded.sample(9)
    pd.testing.assert_frame_equal(again, made)
    assert same.tolist() == labels.tolist()


def test_a_loaded_augmentor_knows_the_features_of_arrays_too(tmp_path: Path, fitted: Augmentor) -> None:
    data, labels = digits()
    quick(model="vae").fit(data.reshape(24, -1), labels).save(tmp_path / "rows")
    fitted.save(tmp_path / "images")
    rows, images = (Augmentor.load(tmp_path / name) for name in ("rows", "images"))
    assert rows.n_features_in_ == 64
    assert not hasattr(rows, "feature_names_in_")
    assert not hasattr(images, "n_features_in_")


@pytest.mark.parametrize(
    "labels",
    [
        [0, 1],
        pytest.param([True, False], marks=SLOW),
        pytest.param([2.0, 10.0], marks=SLOW),
        pytest.param(["b", "a"], marks=SLOW),
    ],
)
def test_labels_of_a_table_are_those_of_arrays(labels: list[Any]) -> None:
    frame, _ = table()
    augmentor = quick(model="vae").fit(frame, np.array(labels * 8))
    assert augmentor.sample({labels[1]: 2})[1].tolist() == [labels[1]] * 2
    assert augmentor.generators_.sample_format.table.label.name == "label"


def test_none_of_no_samples_is_a_frame_too() -> None:
    frame, state = table()
    made, labels = quick(model="vae").fit(frame, state).sample(0)
    assert made.dtypes.equals(frame.dtypes)
    assert (len(made), len(labels)) == (0, 0)


@pytest.mark.parametrize(
    ("column", "words"),
    [
        (pd.Series([1.0] * 15 + [np.nan], index=range(100, 116)), "missing or NaN in 'new'"),
        (pd.Series([1] * 15 + [None], index=range(100, 116), dtype="Int64"), "missing or NaN in 'new'"),
        (pd.Series([object()] * 16, index=range(100, 116)), "'new'"),
        (pd.Series([1j] * 16, index=range(100, 116)), "'new' holds complex128"),
    ],
    ids=["nan", "NA", "objects", "complex"],
)
def test_columns_that_cannot_be_modelled_are_refused(column: pd.Series, words: str) -> None:
    frame, state = table()
    with pytest.raises(InvalidInputError, match=words) as caught:
        quick().fit(frame.assign(new=column), state)
    assert "\n" not in str(caught.value)


def test_features_are_told_and_forgotten_with_the_next_fit() -> None:
    frame, state = table()
    augmentor = quick(model="vae").fit(frame, state)
    assert augmentor.n_features_in_ == 5
    assert augmentor.feature_names_in_.tolist() == list(frame)
    augmentor.fit(*digits())
    assert not hasattr(augmentor, "n_features_in_")
    assert not hasattr(augmentor, "feature_names_in_")
    assert isinstance(augmentor.sample(1)[0], np.ndarray)


# random states


@SLOW
def test_random_states_of_numpy_are_drawn_from_at_fit() -> None:
    made = {}
    for name, kind in (("state", np.random.RandomState), ("generator", np.random.default_rng)):
        first, again = (quick(model="vae", random_state=kind(5)).fit(*digits()) for _ in range(2))
        made[name] = first.sample(3)[0]
        assert np.array_equal(made[name], again.sample(3)[0])
        assert np.array_equal(made[name], first.sample(3)[0])
        again.fit(*digits())
        assert first.random_state_ != again.random_state_
        by_number = quick(model="vae", random_state=first.random_state_).fit(*digits())
        assert np.array_equal(by_number.sample(3)[0], made[name])
    assert not np.array_equal(made["state"], made["generator"])


def test_further_samples_come_from_a_random_state_that_goes_on(fitted: Augmentor) -> None:
    state = np.random.RandomState(0)
    one, two = (fitted.sample(3, random_state=state)[0] for _ in range(2))
    assert not np.array_equal(one, two)
    assert np.array_equal(fitted.sample(3, random_state=np.random.RandomState(0))[0], one)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("random_state", ["3", 2.5, [1]])
def test_what_is_no_random_state_is_refused(random_state: Any) -> None:
    with pytest.raises(InvalidInputError, match="random_state must be an integer"):
        quick(random_state=random_state).fit(*digits())


# as an object


def test_fitted_or_not_it_is_pickled_and_copied(fitted: Augmentor) -> None:
    frame, state = table()
    own = quick(model="vae").fit(frame, state)
    for augmentor in (fitted, own):
        samples = augmentor.sample(4)[0]
        for twin in (pickle.loads(pickle.dumps(augmentor)), copy.deepcopy(augmentor)):
            assert np.array_equal(np.asarray(twin.sample(4)[0]), np.asarray(samples))
    assert pickle.loads(pickle.dumps(quick())).get_params() == quick().get_params()
    assert not hasattr(clone(fitted), "generators_")


def test_not_fitted_is_told_by_scikit_learns_error_too() -> None:
    with pytest.raises(sklearn.exceptions.NotFittedError) as caught:
        quick().sample(1)
    assert isinstance(caught.value, NotFittedError)
    with pytest.raises(sklearn.exceptions.NotFittedError):
        check_is_fitted(quick())
    assert not hasattr(quick(), "scaler_")


def test_its_repr_shows_what_was_changed() -> None:
    assert repr(Augmentor(preset="paper", latent_dim=3)) == "Augmentor(latent_dim=3, preset='paper')"


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("data", "words"),
    [
        (csr_matrix(np.eye(24)), "is a sparse matrix"),
        (np.array([[object()] * 2] * 24, dtype=object), "objects that are none"),
        (np.zeros((24, 0)), "minimum of 1"),
    ],
    ids=["sparse", "objects", "no columns"],
)
def test_what_holds_no_numbers_is_refused(data: Any, words: str) -> None:
    with pytest.raises(InvalidInputError, match=words) as caught:
        quick().fit(data, digits()[1])
    assert "\n" not in str(caught.value)


def test_arrays_of_objects_that_are_numbers_are_taken() -> None:
    data, labels = digits()
    samples, drawn = quick(model="vae").fit(data.astype(object), labels.astype(object)).sample(2)
    assert samples.dtype == np.float64
    assert drawn.tolist() == [0, 0, 1, 1]


# copies


def memorised() -> tuple[Augmentor, np.ndarray, np.ndarray]:
    """An augmentor of two binary columns: nearly every sample equals a training sample."""
    rng = np.random.default_rng(0)
    data, labels = rng.integers(0, 2, (24, 2)).astype(np.uint8), np.repeat([0, 1], 12)
    data[:12, 1] = 0
    return quick(max_epochs=20).fit(data, labels), data, labels


def test_samples_that_are_copies_are_replaced(fitted: Augmentor) -> None:
    data, labels = digits()
    free = fitted.sample(20)[0]
    # the first three draws of class 0 pass as training samples of class 1: exact copies then
    planted = np.concatenate([data, free[:3]]), np.concatenate([labels, [1, 1, 1]])
    samples, drawn = fitted.sample(20, drop_copies=planted)
    assert drawn.tolist() == [0] * 20 + [1] * 20
    assert not any(np.array_equal(sample, copy) for sample in samples for copy in free[:3])
    longer = fitted.sample(200)[0][:200]
    assert all(any(np.array_equal(sample, draw) for draw in longer) for sample in samples[:20])


def test_where_all_draws_are_copies_fewer_come_back_with_a_warning() -> None:
    augmentor, data, labels = memorised()
    with pytest.warns(UserWarning, match=r"class '0' has 0 samples instead of 5"):
        samples, drawn = augmentor.sample({0: 5}, drop_copies=(data, labels))
    assert samples.shape == (0, 2)
    assert drawn.shape == (0,)


def test_training_data_that_are_others_are_refused(fitted: Augmentor) -> None:
    data, labels = digits()
    for wrong in ((data[:, :4], labels), (data, labels[:-1]), (data, labels + 5)):
        with pytest.raises(InvalidInputError, match="drop_copies must be the training data"):
            fitted.sample(1, drop_copies=wrong)
