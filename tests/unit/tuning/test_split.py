"""What a search holds out: a share of each class, whole subjects, never all."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from riemaug.errors import InvalidInputError
from riemaug.random import Stream
from riemaug.tuning.split import held_out_rows


def test_a_fifth_of_each_class() -> None:
    labels = np.repeat([0, 1, 2], [40, 10, 25])
    held_out = held_out_rows(labels, 0.2, Stream(0))
    assert np.bincount(labels[held_out]).tolist() == [8, 2, 5]
    assert np.array_equal(held_out, held_out_rows(labels, 0.2, Stream(0)))
    assert not np.array_equal(held_out, held_out_rows(labels, 0.2, Stream(1)))


def test_a_class_of_one_sample_keeps_it() -> None:
    labels = np.array([0, 1, 1, 1])
    held_out = held_out_rows(labels, 0.2, Stream(0))
    assert not held_out[0]
    assert held_out[1:].sum() == 1


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9)), min_size=4, max_size=40), st.integers(0, 99))
def test_no_subject_is_on_both_sides_and_every_class_keeps_one(
    rows: list[tuple[int, int]], seed: int
) -> None:
    labels = np.array([label for label, _ in rows])
    subjects = [f"subject {number}" for _, number in rows]
    try:
        held_out = held_out_rows(labels, 0.3, Stream(seed), subjects)
    except InvalidInputError:
        return
    on_sides = [
        {s for s, held in zip(subjects, held_out, strict=True) if held is np.bool_(side)}
        for side in (True, False)
    ]
    assert not on_sides[0] & on_sides[1]
    assert set(labels[~held_out]) == set(labels)


def test_one_sample_a_class_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="no class has two samples"):
        held_out_rows(np.array([0, 1, 2]), 0.2, Stream(0))


def test_one_subject_a_class_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="no class has two samples"):
        held_out_rows(np.array([0, 0, 1, 1]), 0.5, Stream(0), ("a", "a", "b", "b"))
