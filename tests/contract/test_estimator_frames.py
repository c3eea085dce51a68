"""DataFrames as estimators take them: with any names, and not by which rows there happen to be."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from imblearn.pipeline import Pipeline
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score

from riemaug.augmentor import Augmentor
from riemaug.data import TablePlan
from riemaug.errors import InvalidInputError, ResourceError
from riemaug.estimator_frames import FramePlan
from riemaug.estimator_warnings import ColumnWarning
from riemaug.oversampling import ManifoldOverSampler
from tests.contract.small import quick

ROWS = 30
STATE = np.arange(ROWS) % 3 == 0


def cheap(**settings: Any) -> ManifoldOverSampler:
    return ManifoldOverSampler(max_epochs=1, model="vae", random_state=0, n_jobs=1, **settings)


def resampled(frame: pd.DataFrame) -> tuple[Any, Any]:
    made: Any = cheap().fit_resample(frame, STATE)
    return made


def numbers() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(rng.normal(size=(ROWS, 2)).round(3), columns=["x", "y"])


DOUBTED = {
    "counts the rows": (np.arange(ROWS), "'new' only numbers them"),
    "text in each row": ([f"t{i}" for i in range(ROWS)], "'new' holds another text in each"),
    "many of a category dtype": (pd.Categorical([f"t{i}" for i in range(ROWS)]), "'new' has 30"),
    "numbers as text": ([f"{i}.5" for i in range(ROWS - 1)] + ["<3"], "'new' holds 29 numbers and 1 cell"),
    "thousands": ([f"1,{i % 3}00" for i in range(ROWS)], "thousands separators, 'new' holds '1,000'"),
}


@pytest.mark.parametrize("name", DOUBTED)
def test_columns_that_hardly_should_be_modelled_are_warned_of(name: str) -> None:
    values, words = DOUBTED[name]
    frame = numbers().assign(new=values)
    with pytest.raises(InvalidInputError, match=words):
        TablePlan.fit(frame)  # as on the command line
    with pytest.warns(ColumnWarning, match=f"{words}.*drop it from X,? if") as heard:
        made, state = resampled(frame)
    assert len(heard) == 1
    assert made.dtypes.equals(frame.dtypes)
    pd.testing.assert_frame_equal(made[:ROWS], frame)
    new = made["new"][ROWS:]
    assert new.between(0, ROWS - 1).all() if name == "counts the rows" else set(new) <= set(frame["new"])
    assert state.sum() * 2 == len(made)


@pytest.mark.filterwarnings("ignore::riemaug.estimator_warnings.ColumnWarning")
def test_what_is_taken_does_not_hang_on_the_rows_of_a_fold() -> None:
    rng = np.random.default_rng(0)
    state, wards = np.arange(240) % 3 == 0, [f"w{i}" for i in rng.permutation(np.arange(240) % 24)]
    frame = pd.DataFrame({"day": np.arange(240), "ward": wards, "x": rng.normal(size=240)})
    with pytest.raises(InvalidInputError, match="only numbers them"):
        TablePlan.fit(frame[["day", "x"]])
    TablePlan.fit(frame[["ward", "x"]])
    with pytest.raises(InvalidInputError, match="may have 20 categories"):
        TablePlan.fit(frame[["ward", "x"]][:160])
    pipeline = Pipeline([("over", cheap()), ("code", _Coded()), ("model", LogisticRegression())])
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    scores: Any = cross_val_score(pipeline, frame, state, cv=folds, error_score="raise")  # pyright: ignore[reportArgumentType]
    assert scores.shape == (3,)
    assert len(pipeline.fit(frame, state).predict(frame)) == 240


class _Coded:
    def fit(self, X: pd.DataFrame, y: Any) -> "_Coded":
        return self

    def transform(self, X: pd.DataFrame) -> np.ndarray:
        return X.assign(ward=X["ward"].str[1:].astype(int)).to_numpy(float) / 240


def test_a_warning_is_among_the_notes() -> None:
    frame = numbers().assign(day=np.arange(ROWS), site=7)
    with pytest.warns(ColumnWarning, match="'day' only numbers them"):
        notes = quick(model="vae", max_epochs=1).fit(frame, STATE).notes_
    assert "'day' only numbers them" in notes[0]
    assert "Constant columns" in notes[1]


NAMES = {
    "wavelengths": [400.5, 401.5],
    "levels": pd.MultiIndex.from_tuples([("red", "low"), ("red", "high")], names=["colour", "band"]),
    "mixed": [3, 400.5],
    "text and numbers": ["a", 2.5],
    "days": pd.to_datetime(["2024-01-01", "2024-01-02"]),
}


@pytest.mark.parametrize("name", NAMES)
def test_columns_may_be_called_by_anything(name: str, tmp_path: Path) -> None:
    frame = numbers().set_axis(NAMES[name], axis=1)
    made, _ = resampled(frame)
    pd.testing.assert_frame_equal(made[:ROWS], frame)
    assert made.columns.equals(frame.columns)
    state = pd.Series(STATE, name=("ill", "yes"))
    augmentor = quick(model="vae", max_epochs=1).fit(frame, state)
    drawn, labels = pickle.loads(pickle.dumps(augmentor)).sample(3)
    pd.testing.assert_index_equal(drawn.columns, frame.columns)
    assert labels.name == state.name
    kept = augmentor.sample(3, drop_copies=(frame, state))[0]
    pd.testing.assert_index_equal(kept.columns, frame.columns)
    augmentor.save(tmp_path)
    loaded = Augmentor.load(tmp_path).sample(3)[0]
    assert loaded.columns.tolist() == [c if isinstance(c, str | int) else str(c) for c in frame.columns]
    assert np.array_equal(loaded.to_numpy(), drawn.to_numpy())


def test_categories_that_do_not_fit_the_memory_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = numbers()
    plan = FramePlan.fit(frame)
    monkeypatch.setattr("riemaug.data.checks.free_memory", lambda: 100)
    with pytest.raises(ResourceError, match="2 numbers of each row need .* drop columns"):
        plan.to_numbers(frame)
