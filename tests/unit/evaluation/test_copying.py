"""Nearest neighbours against a direct computation, copies among look-alikes, flags."""

import math

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from riemaug.evaluation.copying import QUERY_BLOCK, DroppedCopies, copy_flags, nearest_neighbours


def rows(num: int, dim: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random((num, dim), dtype=np.float32)


@pytest.mark.parametrize(("num", "reference_num"), [(1, 1), (5, 3), (QUERY_BLOCK, 40), (600, 1100)])
def test_it_finds_what_a_direct_computation_finds(num: int, reference_num: int) -> None:
    queries, reference = rows(num, 20, 0), rows(reference_num, 20, 1)
    table = cdist(queries.astype(float), reference.astype(float))
    found = nearest_neighbours(queries, reference)
    assert np.array_equal(found.index, table.argmin(1))
    assert np.allclose(found.distance, table.min(1), rtol=1e-6)
    assert found.distance.min() > 0


@pytest.mark.parametrize("num", [2, 3, 300])
def test_left_out_rows_are_not_their_own_neighbours(num: int) -> None:
    reference = rows(num, 12, 2)
    table = cdist(reference.astype(float), reference.astype(float))
    np.fill_diagonal(table, np.inf)
    found = nearest_neighbours(reference, reference, leave_one_out=True)
    assert np.array_equal(found.index, table.argmin(1))
    assert np.allclose(found.distance, table.min(1), rtol=1e-6)


def test_left_out_duplicates_are_neighbours_at_zero() -> None:
    reference = rows(10, 12, 3)
    reference[7] = reference[2]
    found = nearest_neighbours(reference, reference, leave_one_out=True)
    assert (found.index[2], found.index[7]) == (7, 2)
    assert found.distance[2] == found.distance[7] == 0.0
    assert np.delete(found.distance, [2, 7]).min() > 0


@pytest.mark.parametrize("dim", [3, 784, 20_000])
def test_exact_copies_are_at_exactly_zero(dim: int) -> None:
    reference = rows(50, dim, 4)
    picked = np.random.default_rng(0).integers(0, 50, 300)
    found = nearest_neighbours(reference[picked], reference)
    assert np.array_equal(found.index, picked)
    assert (found.distance == 0.0).all()


@pytest.mark.parametrize("leave_one_out", [False, True])
def test_copies_are_found_among_look_alikes(leave_one_out: bool) -> None:
    # one image 300 times, each with another pixel one grey level up: in float32 products they look the same
    image = np.random.default_rng(0).integers(0, 255, 784)
    levels = np.repeat(image[None], 300, 0)
    levels[np.arange(300), np.arange(300)] += 1
    reference = (levels / 255).astype(np.float32)
    found = nearest_neighbours(reference, reference, leave_one_out)
    if leave_one_out:
        assert (found.index != np.arange(300)).all()
        assert np.allclose(found.distance, math.sqrt(2) / 255, rtol=1e-4)
    else:
        assert np.array_equal(found.index, np.arange(300))
        assert (found.distance == 0.0).all()


def test_a_query_does_not_depend_on_those_beside_it() -> None:
    queries, reference = rows(300, 30, 5), rows(80, 30, 6)
    reference[1] = reference[0]
    queries[40] = reference[0]
    whole = nearest_neighbours(queries, reference)
    for part in (queries[:1], queries[:41], queries[:299]):
        found = nearest_neighbours(part, reference)
        assert np.array_equal(found.index, whole.index[: len(part)])
        assert np.array_equal(found.distance, whole.distance[: len(part)])


def test_no_queries_give_no_neighbours() -> None:
    found = nearest_neighbours(rows(0, 4, 0), rows(3, 4, 0))
    assert len(found.index) == len(found.distance) == 0


def test_inputs_are_left_as_they_are() -> None:
    queries, reference = rows(10, 6, 0), rows(5, 6, 1)
    kept = queries.copy(), reference.copy()
    nearest_neighbours(queries, reference)
    assert np.array_equal(queries, kept[0])
    assert np.array_equal(reference, kept[1])


def test_flags() -> None:
    distance = np.array([0.0, 0.0, 0.5, 1.0, 2.0, 0.5])
    identical = np.array([True, False, False, False, False, False])
    limit = np.array([1.0, 1.0, 1.0, 1.0, 1.0, math.nan])
    assert copy_flags(distance, identical, limit) == ["exact", "near", "near", "no", "no", "no"]


def test_dropped_copies_add_up() -> None:
    dropped = DroppedCopies(wanted=40, drawn=50, exact=2, near=13)
    assert (dropped.count, dropped.kept, dropped.missing, dropped.share) == (15, 35, 5, 0.3)
    assert dropped.describe() == "15 of 50 draws dropped as copies (2 exact, 13 near)"
    assert dropped.describe_missing().startswith("35 of 40 samples: 30 % of 50 draws were copies")
    assert DroppedCopies.from_dict(dropped.to_dict()) == dropped
