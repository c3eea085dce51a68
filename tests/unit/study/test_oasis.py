"""OASIS: both forms read the same, splits keep their counts, one head is in one part, age alone is scored."""

import os
from pathlib import Path

import numpy as np
import pytest
from study_files import oasis_arrays, write_oasis

from riemaug.data import check_no_leak
from riemaug.data.likeness import Signatures, signature
from riemaug.errors import InvalidInputError
from riemaug.evaluation.samples import LabelledSamples
from riemaug.random import Stream
from riemaug.study.age import age_baselines
from riemaug.study.committed import committed
from riemaug.study.datasets import StudyData, load_study_data
from riemaug.study.oasis import SAME_HEAD, SIZES, Subjects, oasis_rows, read_oasis, stratified_parts

DATA = os.environ.get("RIEMAUG_DATA")
needs_data = pytest.mark.skipif(DATA is None, reason="needs RIEMAUG_DATA, the folder of the public data sets")
SPLITS = [("oasis_paper", 0), *(("oasis_stratified", draw) for draw in range(10))]


def made_up() -> Subjects:
    """Return 416 subjects as many of each label as OASIS has, of made-up ages."""
    labels = np.arange(416) >= 316
    # evenly spread, so that each stratum has enough subjects for two in each part
    ages = np.where(labels, 62 + np.arange(416) % 28, 18 + np.arange(416) % 77)
    sexes = np.full(416, "F")
    cdr = np.where(labels, 0.5, np.nan).astype(np.float32)
    empty = np.zeros((416, 2, 2), np.uint8)
    return Subjects(empty, np.arange(1, 417), ages, sexes, np.zeros(416, np.float32), cdr)


@pytest.mark.parametrize("form", ["npz", "distribution"])
def test_subjects_are_read_in_the_order_of_their_numbers(tmp_path: Path, form: str) -> None:
    arrays = write_oasis(tmp_path, form)
    subjects = read_oasis(tmp_path)
    np.testing.assert_array_equal(subjects.numbers, np.arange(1, 9))
    np.testing.assert_array_equal(subjects.images, arrays["images"])
    for ours, theirs in (("ages", "age"), ("sexes", "sex"), ("mmse", "mmse"), ("cdr", "cdr")):
        np.testing.assert_array_equal(getattr(subjects, ours), arrays[theirs])
    np.testing.assert_array_equal(subjects.labels, [1, 0, 0, 0, 1, 0, 0, 0])


def test_what_is_absent_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"oasis\.npz .* oasis_cross-sectional\.csv in oasis/"):
        read_oasis(tmp_path)
    write_oasis(tmp_path, "distribution")
    for path in (tmp_path / "oasis").rglob("*.gif"):
        path.unlink()
    with pytest.raises(InvalidInputError, match=r"t88_masked_gfc_tra_90\.gif must lie below"):
        read_oasis(tmp_path)
    (tmp_path / "oasis" / "oasis_cross-sectional.csv").write_text("name,age\nx,3\n")
    with pytest.raises(InvalidInputError, match="the columns Age, CDR, ID, M/F, MMSE"):
        read_oasis(tmp_path)


def test_absent_subjects_and_draws_are_told(tmp_path: Path) -> None:
    write_oasis(tmp_path, "npz")
    with pytest.raises(InvalidInputError, match="needs all 416 subjects"):
        load_study_data("oasis_paper", 0, tmp_path)
    with pytest.raises(InvalidInputError, match="oasis_paper has the draws 0 to 0, got 1"):
        oasis_rows("oasis_paper", 1, read_oasis(tmp_path))
    with pytest.raises(InvalidInputError, match="has the draws 0 to 9, got 10"):
        oasis_rows("oasis_stratified", 10, read_oasis(tmp_path))


@pytest.mark.parametrize(("name", "draw"), SPLITS)
def test_committed_splits_divide_all_subjects(name: str, draw: int) -> None:
    parts = committed(name)["draws"][str(draw)]
    assert [len(part) for part in parts.values()] == [290, 42, 84]
    assert len(set().union(*parts.values())) == 416
    assert sum(set(SAME_HEAD) <= set(part) for part in parts.values()) == 1


def test_stratified_parts_have_their_sizes_and_ages() -> None:
    subjects = made_up()
    parts = stratified_parts(subjects, Stream(0))
    for label, sizes in enumerate(SIZES.values()):
        assert np.bincount(parts[subjects.labels == label]).tolist() == list(sizes)
    assert len(set(parts[np.isin(subjects.numbers, SAME_HEAD)])) == 1
    young = (subjects.ages < 30) & (subjects.labels == 0)
    shares = np.bincount(parts[young]) / young.sum()
    np.testing.assert_allclose(shares, np.array(SIZES["CN"]) / 316, atol=1.5 / young.sum())
    assert not np.array_equal(parts, stratified_parts(subjects, Stream(1)))


def test_ages_and_sexes_go_with_the_samples(tmp_path: Path) -> None:
    arrays = oasis_arrays()
    # the committed splits name the numbers of the real subjects
    numbers = np.sort(np.concatenate(list(committed("oasis_paper")["draws"]["0"].values())))
    arrays["subject_id"] = np.array([f"OAS1_{number:04d}" for number in numbers])
    np.savez(tmp_path / "oasis.npz", **arrays)
    data = load_study_data("oasis_paper", 0, tmp_path)
    assert data.ages is not None
    assert data.sexes is not None
    rows = {"train": data.train_rows, "validation": data.validation_rows}
    for part, samples in (("train", data.train), ("validation", data.validation)):
        np.testing.assert_array_equal(data.ages[part], arrays["age"][rows[part]])
        np.testing.assert_array_equal(data.sexes[part], arrays["sex"][rows[part]])
        np.testing.assert_array_equal(samples.labels, arrays["cdr"][rows[part]] > 0)
        np.testing.assert_array_equal(samples.samples, arrays["images"][rows[part]] / np.float32(255))
    assert len(data.ages["test"]) == len(data.test) == 84


def with_ages(ages: dict[str, list[int]], labels: dict[str, list[int]]) -> StudyData:
    parts = {
        part: LabelledSamples(np.zeros((len(years), 2, 2), np.float32), np.array(labels[part]))
        for part, years in ages.items()
    }
    rows = np.arange(1)
    years = {part: np.array(values) for part, values in ages.items()}
    return StudyData("oasis", 0, ("CN", "AD"), *parts.values(), rows, rows, years)


def test_age_baselines_against_hand_made_parts() -> None:
    # among the old of the training part, and so in test, AD are the younger ones
    ages = {"train": [20, 25, 30, 85, 90, 62, 66], "validation": [50], "test": [25, 88, 61, 64]}
    labels = {"train": [0, 0, 0, 0, 0, 1, 1], "validation": [0], "test": [0, 0, 1, 1]}
    scores = age_baselines(with_ages(ages, labels))
    # AD from 60 on: both AD subjects are right, one of two CN is
    assert scores["age_60"] == pytest.approx((1 + 1 / 2) / 2)
    assert scores["age_logistic_60"] == 1.0
    # on all ages AD are the older ones (64 against 50 in the mean), so 88 is taken for AD
    assert scores["age_logistic"] == pytest.approx((1 + 1 / 2) / 2)


def test_age_baselines_need_ages() -> None:
    samples = LabelledSamples(np.zeros((2, 2), np.float32), np.array([0, 1]))
    rows = np.arange(1)
    with pytest.raises(InvalidInputError, match="mnist has none"):
        age_baselines(StudyData("mnist", 0, ("a", "b"), samples, samples, samples, rows, rows))


@needs_data
@pytest.mark.parametrize(("name", "draw"), SPLITS[:3])
def test_splits_of_the_real_data_share_nothing(name: str, draw: int) -> None:
    data = load_study_data(name, draw, Path(str(DATA)))
    assert data.train.counts(2) == (220, 70)
    assert data.train.shape == (208, 176)
    signatures = [
        Signatures(tuple(map(str, range(len(part)))), tuple(map(signature, part.samples)))
        for part in (data.train, data.validation, data.test)
    ]
    check_no_leak(signatures[0], signatures[2])
    check_no_leak(signatures[1], signatures[2])
    check_no_leak(signatures[0], signatures[1])


@needs_data
def test_committed_stratified_splits_are_those_of_the_rule() -> None:
    subjects = read_oasis(Path(str(DATA)))
    parts = stratified_parts(subjects, Stream(4, ("study", "oasis_stratified")))
    for part, rows in enumerate(oasis_rows("oasis_stratified", 4, subjects).values()):
        np.testing.assert_array_equal(np.flatnonzero(parts == part), rows)


@needs_data
def test_age_alone_does_what_the_protocol_says() -> None:
    subjects = read_oasis(Path(str(DATA)))
    old = subjects.ages >= 62
    ad = subjects.labels == 1
    assert (old[ad].mean() + (~old)[~ad].mean()) / 2 == pytest.approx(0.853, abs=5e-4)
