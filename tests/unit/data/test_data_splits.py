"""Who goes into which part: whole subjects, the shares asked for, the same for the same seed."""

import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riemaug.data import PARTS, Shares, assign_parts
from riemaug.data.splits import part_targets
from riemaug.errors import InvalidInputError
from riemaug.random import Stream

USUAL = Shares(0.7, 0.1, 0.2)
LETTERS = "abcdefgh"


def names_of(count: int) -> list[str]:
    return [f"scan-{number:04d}" for number in range(count)]


def parts_of(labels: np.ndarray, shares: Shares = USUAL, seed: int = 0, units=None) -> np.ndarray:
    classes = LETTERS[: int(labels.max()) + 1]
    return assign_parts(labels, names_of(len(labels)), classes, shares, Stream(seed), units)


def table_of(labels: np.ndarray, parts: np.ndarray) -> np.ndarray:
    table = np.zeros((len(PARTS), int(labels.max()) + 1), int)
    np.add.at(table, (parts, labels), 1)
    return table


def test_shares_of_each_class_are_exact() -> None:
    labels = np.repeat([0, 1], [100, 40])
    assert table_of(labels, parts_of(labels)).tolist() == [[70, 28], [10, 4], [20, 8]]


def test_numbers_are_totals_over_the_classes() -> None:
    labels = np.repeat([0, 1], [100, 50])
    table = table_of(labels, parts_of(labels, Shares(val=15, test=0.2)))
    assert table.sum(1).tolist() == [105, 15, 30]
    assert table[1].tolist() == [10, 5]


def test_a_part_may_be_left_out() -> None:
    labels = np.repeat([0, 1], [10, 10])
    assert set(parts_of(labels, Shares(0.5, 0, 0.5)).tolist()) == {0, 2}
    assert set(parts_of(labels, Shares(0, 0.5, 0.5)).tolist()) == {1, 2}


def test_the_same_seed_gives_the_same_parts_and_another_one_others() -> None:
    labels = np.repeat([0, 1], [50, 50])
    units = np.arange(100) // 3
    for given_units in (None, units):
        first = parts_of(labels, units=given_units)
        assert np.array_equal(first, parts_of(labels, units=given_units))
        assert not np.array_equal(first, parts_of(labels, seed=1, units=given_units))


@given(
    st.lists(st.integers(20, 60), min_size=1, max_size=5),
    st.sampled_from([0.0, 0.1, 0.25]),
    st.sampled_from([0.1, 0.2, 0.4]),
    st.integers(0, 9),
)
def test_single_samples_meet_the_shares_up_to_rounding(
    sizes: list[int], val: float, test: float, seed: int
) -> None:
    labels = np.repeat(np.arange(len(sizes)), sizes)
    shares = Shares(val=val, test=test)
    table = table_of(labels, parts_of(labels, shares, seed))
    assert table.sum(0).tolist() == sizes
    asked = np.outer([1 - val - test, val, test], sizes)
    # the training part takes the rounding of both others
    assert np.abs(table - asked)[1:].max() < 1
    assert np.abs(table - asked)[0].max() < 2
    assert table.sum(1).tolist() == list(shares.sizes(len(labels)))
    assert np.abs(table.sum(1) - asked.sum(1)).max() < 1


SUBJECTS = st.lists(
    st.tuples(st.integers(0, 1), st.integers(1, 5), st.booleans()), min_size=24, max_size=60
).filter(lambda rows: all(sum(label == wanted for label, _, _ in rows) >= 10 for wanted in (0, 1)))


def subjects_and_labels(rows) -> tuple[np.ndarray, np.ndarray]:
    """Return subjects of 1 to 5 images, some with images of both classes."""
    subjects, labels = [], []
    for number, (label, count, is_mixed) in enumerate(rows):
        subjects += [number] * count
        labels += [(label + (is_mixed and image % 2)) % 2 for image in range(count)]
    return np.array(subjects), np.array(labels)


@settings(deadline=None, max_examples=40)
@given(SUBJECTS, st.integers(0, 9))
def test_no_subject_is_divided_and_sizes_come_near(rows, seed) -> None:
    subjects, labels = subjects_and_labels(rows)
    parts = parts_of(labels, seed=seed, units=subjects)
    assert all(len(set(parts[subjects == subject].tolist())) == 1 for subject in set(subjects.tolist()))
    table = table_of(labels, parts)
    assert table.min() >= 2
    targets = part_targets(table.sum(0).tolist(), "ab", USUAL)
    # never further than the largest subject is large
    assert np.abs(table - targets).max() <= 5


@settings(deadline=None, max_examples=20)
@given(SUBJECTS, st.randoms(use_true_random=False))
def test_the_order_of_the_samples_does_not_matter(rows, random) -> None:
    subjects, labels = subjects_and_labels(rows)
    names = names_of(len(labels))
    order = np.array(random.sample(range(len(labels)), len(labels)))
    parts = assign_parts(labels, names, "ab", USUAL, Stream(3), subjects)
    shuffled = assign_parts(
        labels[order],
        [names[row] for row in order],
        "ab",
        USUAL,
        Stream(3),
        [f"s{s}" for s in subjects[order]],
    )
    assert np.array_equal(parts[order], shuffled)


def test_both_ways_of_storing_accents_give_the_same_parts() -> None:
    labels = np.repeat([0, 1], [20, 20])
    names = [f"{letter}{number}" for number in range(10) for letter in "aáàz"]
    found = [
        assign_parts(labels, [unicodedata.normalize(form, name) for name in names], "ab", USUAL, Stream(0))
        for form in ("NFC", "NFD")
    ]
    assert np.array_equal(*found)


def test_subjects_of_very_different_sizes_still_meet_the_shares() -> None:
    random = np.random.default_rng(0)
    sizes = random.integers(1, 21, 80)
    subjects = np.repeat(np.arange(80), sizes)
    labels = (np.arange(80) % 2)[subjects]
    table = table_of(labels, parts_of(labels, units=subjects))
    reached = table / table.sum(0)
    assert np.abs(reached - np.array([[0.7], [0.1], [0.2]])).max() < 0.01


@pytest.mark.parametrize(
    ("shares", "found"),
    [
        (Shares(0.7, 0.1, 0.3), "0.7 + 0.1 + 0.3"),
        (Shares(0.5, 0.1, 0.2), "add up to all 40 samples"),
        (Shares(val=0.5, test=0.6), "leave --train out"),
        (Shares(val=30, test=20), "add up to all 40 samples"),
        (Shares(val=-1), "--val takes a number of samples of at least 0, got -1"),
        (Shares(test=1.5), "--test takes a share from 0 to 1"),
        (Shares(test=float("nan")), "--test takes a share from 0 to 1"),
        (Shares(1.0, 0, 0), "at least two parts"),
        (Shares(val=0, test=0.001), "give larger shares"),
    ],
)
def test_impossible_shares_are_refused(shares: Shares, found: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        parts_of(np.repeat([0, 1], [20, 20]), shares)
    assert found in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_class_that_is_too_small_is_named_with_the_fix() -> None:
    labels = np.repeat([0, 1], [20, 5])
    with pytest.raises(InvalidInputError, match=r"need 6 in a class, 'b \(5\)' has fewer.*--val 0"):
        parts_of(labels)
    assert table_of(labels, parts_of(labels, Shares(val=0))).tolist() == [[16, 3], [0, 0], [4, 2]]


def test_a_class_of_too_few_subjects_is_named() -> None:
    labels = np.repeat([0, 1], [20, 20])
    subjects = np.array([*range(20), *[20] * 10, *[21] * 10])
    with pytest.raises(InvalidInputError, match=r"class 'b', whose 2 subjects must stay whole.*--val 0"):
        parts_of(labels, units=subjects)
    assert table_of(labels, parts_of(labels, Shares(0.5, 0, 0.5), units=subjects))[:, 1].tolist() == [
        10,
        0,
        10,
    ]
