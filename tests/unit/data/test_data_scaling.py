"""The value range and back."""

import json

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riemaug.data import RangeScaler
from riemaug.errors import InvalidInputError

SHAPES = st.sampled_from([(1, 1), (5, 3), (3, 4, 2), (2, 3, 2, 3)])
FAST = settings(max_examples=60, deadline=None)


def integers(dtype):
    return SHAPES.flatmap(lambda shape: hnp.arrays(dtype, shape))


@FAST
@given(st.sampled_from(["uint8", "uint16", "int16", "bool"]).flatmap(integers), st.booleans())
def test_integers_come_back_exactly(samples, per_feature):
    scaler = RangeScaler.fit(samples, per_feature)
    unit = scaler.transform(samples)
    assert unit.dtype == np.float32
    assert unit.min() >= 0
    assert unit.max() <= 1
    back = scaler.inverse(unit)
    assert back.dtype == samples.dtype
    np.testing.assert_array_equal(back, samples)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_every_integer_comes_back(dtype):
    samples = np.arange(np.iinfo(dtype).max + 1).astype(dtype)[:, None]
    scaler = RangeScaler.fit(samples)
    np.testing.assert_array_equal(scaler.inverse(scaler.transform(samples)), samples)


@FAST
@given(
    SHAPES.flatmap(
        lambda shape: hnp.arrays("float32", shape, elements=st.floats(-(2.0**100), 2.0**100, width=32))
    ),
    st.booleans(),
)
def test_floats_come_back_to_rounding(samples, per_feature):
    scaler = RangeScaler.fit(samples, per_feature)
    back = scaler.inverse(scaler.transform(samples))
    span = float(samples.max()) - float(samples.min())
    assert back.dtype == np.float32
    np.testing.assert_allclose(back, samples, rtol=1e-6, atol=1e-6 * span)
    assert back.min() >= samples.min()
    assert back.max() <= samples.max()


@FAST
@given(integers("uint8"), hnp.arrays("float32", (5, 1), elements=st.floats(-1e6, 1e6, width=32)))
def test_the_inverse_never_leaves_the_range(samples, unit):
    scaler = RangeScaler.fit(samples)
    back = scaler.inverse(unit)
    assert samples.min() <= back.min()
    assert back.max() <= samples.max()


def test_just_above_one_does_not_wrap():
    scaler = RangeScaler.fit(np.array([[0, 255]], np.uint8))
    np.testing.assert_array_equal(scaler.inverse(np.array([[1.02, -0.02]])), [[255, 0]])


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64", "int64"])
def test_constant_columns_come_back_exactly(dtype):
    samples = np.array([[7, 0, 3], [7, 5, 3], [7, 9, 3]]).astype(dtype)
    scaler = RangeScaler.fit(samples, per_feature=True)
    unit = scaler.transform(samples)
    np.testing.assert_array_equal(unit[:, [0, 2]], 0)
    np.testing.assert_array_equal(unit[:, 1], np.float32([0, 5 / 9, 1]))
    np.testing.assert_array_equal(scaler.inverse(unit + np.float32(0.4))[:, [0, 2]], samples[:, [0, 2]])


def test_new_values_outside_are_clipped():
    scaler = RangeScaler.fit(np.array([[10.0, 20.0]]))
    np.testing.assert_array_equal(scaler.transform(np.array([[5.0, 15.0, 99.0]])), [[0, 0.5, 1]])


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "int32"])
def test_hot_pixels_do_not_set_the_range(dtype):
    samples = (np.arange(40_000) % 50 + 60).reshape(400, 10, 10).astype(dtype)
    samples[5, 5, 5] = 255
    scaler = RangeScaler.fit(samples)
    assert (scaler.low, scaler.high) == (60, 109)
    assert scaler.clipped_fraction == 1 / 40_000
    (note,) = scaler.notes
    assert note.startswith("1 outlying values")
    assert "60" in note
    assert "109" in note
    assert scaler.inverse(scaler.transform(samples))[5, 5, 5] == 109


def test_dead_pixels_do_not_set_the_range():
    samples = (np.arange(40_000) % 50 + 1000).reshape(400, 100).astype(np.uint16)
    samples[7, 7] = 0
    assert RangeScaler.fit(samples).low == 1000


@pytest.mark.parametrize(
    ("count", "value"),
    [(4, 255), (1, 150)],
    ids=["as many as 1e-4", "not far"],
)
def test_what_is_no_outlier_sets_the_range(count, value):
    samples = (np.arange(40_000) % 50 + 60).reshape(400, 100).astype(np.uint8)
    samples[:count, 0] = value
    scaler = RangeScaler.fit(samples)
    assert (scaler.low, scaler.high) == (60, value)
    assert scaler.clipped_fraction == 0
    assert scaler.notes == ()


def test_few_bright_points_on_a_constant_ground_are_kept():
    samples = np.zeros((400, 1000), np.uint8)
    samples[::50, 3] = 200
    scaler = RangeScaler.fit(samples)
    assert scaler.high == 200
    assert scaler.clipped_fraction == 0


def test_wide_integers_are_noted_or_refused():
    assert "7 digits" in RangeScaler.fit(np.array([[0, 2**30]])).notes[0]
    for value in (2**60, -(2**60)):
        with pytest.raises(InvalidInputError, match="beyond 2\\^53"):
            RangeScaler.fit(np.array([[0, value]]))


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.empty((0, 3)), "at least one value"),
        (np.array([["a"]]), "real numbers"),
        (np.array([[1.0, np.nan]]), "finite"),
        (np.array([[-1e308, 1e308]]), "float64 holds"),
    ],
)
@pytest.mark.parametrize("per_feature", [False, True])
def test_what_cannot_be_scaled_is_refused(samples, message, per_feature):
    if message == "float64 holds":
        samples = samples.T
    with pytest.raises(InvalidInputError, match=message):
        RangeScaler.fit(samples, per_feature)


def test_missing_values_are_not_turned_into_pixels():
    with pytest.raises(InvalidInputError, match="NaN"):
        RangeScaler.fit(np.array([[0, 255]], np.uint8)).inverse(np.array([[np.nan]]))


@pytest.mark.parametrize("per_feature", [False, True])
def test_saved_scaler_does_the_same(per_feature):
    samples = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32) / 3
    scaler = RangeScaler.fit(samples, per_feature)
    again = RangeScaler.from_dict(json.loads(json.dumps(scaler.to_dict())))
    np.testing.assert_array_equal(again.transform(samples), scaler.transform(samples))
    np.testing.assert_array_equal(again.inverse(samples), scaler.inverse(samples))
    assert again.to_dict() == scaler.to_dict()


@pytest.mark.parametrize(
    "change",
    [
        {"low": 300.0},
        {"low": "x"},
        {"low": [0.0, 1.0]},
        {"high": 256.0},
        {"high": float("inf")},
        {"dtype": "object"},
        {"dtype": "nonsense"},
        {"dtype": None},
        {"clipped_fraction": "x"},
        {"notes": 3},
    ],
)
def test_tampered_scaler_is_refused(change):
    fields = RangeScaler.fit(np.array([[0, 255]], np.uint8)).to_dict()
    with pytest.raises(InvalidInputError):
        RangeScaler.from_dict(fields | change)
    with pytest.raises(InvalidInputError):
        RangeScaler.from_dict({name: value for name, value in fields.items() if name not in change})
