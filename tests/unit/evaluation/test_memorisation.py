"""The copying check: it fires on a memorising sampler, is silent on held-out real data, counts right."""

import itertools
import json
import math

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.datasets import load_digits

from riemaug.errors import InvalidInputError
from riemaug.evaluation import memorisation
from riemaug.evaluation.copying import nearest_other_neighbours
from riemaug.evaluation.memorisation import HELD_OUT, LEFT_OUT, check_copying


def normal(num: int, dim: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(num, dim)).astype(np.float32)


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Training, held-out and further real samples."""
    rows = (load_digits().data / 16).astype(np.float32)
    rows = rows[np.random.default_rng(0).permutation(len(rows))]
    return rows[:500], rows[500:900], rows[900:1200]


class MemorisingSampler:
    """Returns training samples, with noise of the given spread."""

    def __init__(self, training: np.ndarray, spread: float) -> None:
        self.training, self.spread = training, spread

    def sample(self, num: int, seed: int = 0) -> np.ndarray:
        rng = np.random.default_rng(seed)
        picked = self.training[rng.integers(len(self.training), size=num)]
        return (picked + self.spread * rng.normal(size=picked.shape)).astype(np.float32)


@pytest.mark.parametrize("knows_held_out", [True, False])
def test_exact_copies_are_found(digits, knows_held_out: bool) -> None:
    training, held_out, _ = digits
    copies = MemorisingSampler(training, 0.0).sample(300)
    report = check_copying(training, copies, held_out if knows_held_out else None)
    assert (report.num_exact, report.num_near, report.share_closer) == (300, 0, 1.0)
    assert set(report.flags) == {"exact"}
    assert report.findings[0] == "300 of 300 synthetic samples equal a training sample."
    assert report.synthetic_distance.quantile_95 == 0.0
    assert report.reference_distance.smallest > 0.0
    if knows_held_out:
        assert report.membership is not None
        assert report.membership.low > 0.6
        assert len(report.findings) == 3


@pytest.mark.parametrize("knows_held_out", [True, False])
def test_noisy_copies_are_found(digits, knows_held_out: bool) -> None:
    training, held_out, _ = digits
    copies = MemorisingSampler(training, 0.02).sample(300)
    report = check_copying(training, copies, held_out if knows_held_out else None)
    assert report.num_exact == 0
    assert report.num_near > 290
    assert any("near copies" in finding for finding in report.findings)
    assert any("closer to the training set than any real one" in finding for finding in report.findings)
    assert report.closer_p_value < 0.01


def test_a_few_copies_among_many_are_found_and_can_be_dropped(digits) -> None:
    training, held_out, others = digits
    planted = np.concatenate([others, MemorisingSampler(training, 0.01).sample(12), training[7:9]])
    report = check_copying(training, planted, held_out)
    assert report.flags[:300].count("no") == 300
    assert report.flags[300:] == ("near",) * 12 + ("exact",) * 2
    assert report.nearest.index[-1] == 8
    assert any(finding.startswith("12 of 314") for finding in report.findings)


@pytest.mark.parametrize("knows_held_out", [True, False])
def test_held_out_real_data_as_synthetic_are_silent(digits, knows_held_out: bool) -> None:
    # by chance a finding turns up in at most one of 100 such splits
    training, held_out, others = digits
    report = check_copying(training, others, held_out if knows_held_out else None)
    assert report.findings == ()
    assert (report.num_exact, report.num_near) == (0, 0)
    assert report.reference == (HELD_OUT if knows_held_out else LEFT_OUT)
    if knows_held_out:
        assert report.notes == ()
        assert report.membership is not None
        assert report.membership.low < 0.5 < report.membership.high
    else:
        assert "membership inference is not measured" in report.notes[0]


def test_noise_is_no_copy(digits) -> None:
    training, held_out, _ = digits
    report = check_copying(training, np.random.default_rng(0).random((200, 64), np.float32), held_out)
    assert report.findings == ()
    assert report.share_closer == 0.0
    assert report.synthetic_distance.smallest > report.reference_distance.median


def test_shares_and_distances_against_a_direct_computation() -> None:
    training, synthetic, held_out = normal(30, 2, 0), normal(25, 2, 1), normal(8, 2, 2)
    report = check_copying(training, synthetic, held_out)
    tables = [np.sort(cdist(rows, training), 1) for rows in (synthetic, held_out)]
    assert report.share_closer == (tables[0][:, 0] < tables[1][:, 0].min()).mean()
    assert report.num_near == (tables[0][:, 0] < tables[0][:, 1] / 3).sum() > 0
    assert report.num_near_reference == (tables[1][:, 0] < tables[1][:, 1] / 3).sum()
    assert report.reference_distance.median == pytest.approx(np.median(tables[1][:, 0]), rel=1e-5)
    assert report.synthetic_distance.quantile_5 == pytest.approx(np.quantile(tables[0][:, 0], 0.05), rel=1e-5)


def test_leave_one_out_against_a_direct_computation() -> None:
    training, synthetic = normal(30, 2, 0), normal(25, 2, 1)
    report = check_copying(training, synthetic)
    own, table = cdist(training, training), np.sort(cdist(synthetic, training), 1)
    np.fill_diagonal(own, np.inf)
    own.sort(1)
    assert report.share_closer == (table[:, 0] < own[:, 0].min()).mean()
    assert report.num_near_reference == (own[:, 0] < own[:, 1] / 3).sum()
    assert report.reference_distance.smallest == pytest.approx(own[:, 0].min(), rel=1e-5)


@pytest.mark.parametrize(("num_synthetic", "num_held_out"), [(3, 2), (4, 4), (2, 5)])
def test_the_p_value_counts_the_orders(num_synthetic: int, num_held_out: int) -> None:
    total = num_synthetic + num_held_out
    orders = list(itertools.combinations(range(total), num_synthetic))
    closer = [next((i for i, place in enumerate(order) if place != i), num_synthetic) for order in orders]
    for num in range(num_synthetic + 1):
        expected, p_value = memorisation._closer_by_chance(num, num_synthetic, num_held_out, True)
        assert p_value == pytest.approx(np.mean(np.array(closer) >= num))
        assert expected == pytest.approx(np.mean(closer) / num_synthetic)


@pytest.mark.parametrize("num", [1, 2, 3])
def test_few_choices_are_all_closer_than_the_rest_are_to_each_other(num: int) -> None:
    # what the bound without held-out samples rests on: at most 2^r choices of r among n + r points
    for seed in range(20):
        gaps = cdist(normal(9, 2, seed), normal(9, 2, seed))
        np.fill_diagonal(gaps, np.inf)
        count = 0
        for chosen in itertools.combinations(range(9), num):
            rest = np.setdiff1d(np.arange(9), chosen)
            count += (gaps[np.ix_(chosen, rest)].min(1) < gaps[np.ix_(rest, rest)].min()).all()
        assert count <= 2**num
        assert count == 2 or num > 1


@pytest.mark.statistics
def test_the_expected_share_without_held_out_samples() -> None:
    # mean over 1,000 training sets of 6; off by 4.5 standard errors with probability 7e-6
    assert memorisation._closer_by_chance(0, 20, 6, False) == (pytest.approx(2 / 7), 1.0)
    shares, p_values = [], []
    for seed in range(1000):
        report = check_copying(normal(6, 2, 2 * seed), normal(20, 2, 2 * seed + 1))
        shares.append(report.share_closer)
        p_values.append(report.closer_p_value)
    assert report.expected_share_closer == pytest.approx(2 / 7)
    assert abs(np.mean(shares) - 2 / 7) < 4.5 * np.std(shares) / math.sqrt(1000)
    # the p-value is an upper bound
    for level in (0.3, 0.5, 0.9):
        assert np.mean(np.array(p_values) <= level) <= level + 4.5 * math.sqrt(level * (1 - level) / 1000)


def test_duplicates_among_real_samples_are_told() -> None:
    training, synthetic, held_out = normal(20, 5, 0), normal(10, 5, 1), normal(10, 5, 2)
    held_out[4] = training[3]
    report = check_copying(training, synthetic, held_out)
    assert report.num_exact_reference == 1
    assert "1 of 10 held-out samples equal a training sample" in report.notes[0]
    training[6] = training[3]
    report = check_copying(training, synthetic)
    assert "2 of 20 training samples are there twice" in report.notes[0]
    # a near copy of the doubled sample is one still
    near = (training[3] + 0.01 * normal(1, 5, 3)).astype(np.float32)
    assert check_copying(training, near).flags == ("near",)


def test_minus_zero_is_zero() -> None:
    training = np.array([[0.0, 1.0], [-0.0, 1.0], [3.0, 3.0]], np.float32)
    assert check_copying(training, np.array([[0.1, 1.0]], np.float32)).flags == ("near",)


def test_near_needs_another_training_sample() -> None:
    same = np.zeros((4, 3), np.float32)
    report = check_copying(same, np.full((2, 3), 0.1, np.float32))
    assert report.flags == ("no", "no")
    assert report.num_exact_reference == 4


def test_the_report_is_json() -> None:
    report = check_copying(normal(20, 3, 0), normal(10, 3, 1), normal(8, 3, 2))
    fields = report.to_dict()
    assert json.loads(json.dumps(fields)) == fields
    assert fields["membership"]["num_members"] == 20
    assert not {"flags", "nearest"} & fields.keys()


def test_many_synthetic_samples_are_searched_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    training, synthetic, held_out = normal(20, 3, 0), normal(50, 3, 1), normal(8, 3, 2)
    whole = check_copying(training, synthetic, held_out)
    monkeypatch.setattr(memorisation, "NEAREST_BLOCK", 7)
    assert check_copying(training, synthetic, held_out).membership == whole.membership


def test_nearest_other_rows() -> None:
    queries, reference = normal(300, 4, 0), normal(40, 4, 1)
    table = cdist(queries, reference)
    order = table.argsort(1)
    found = nearest_other_neighbours(queries, reference, order[:, :2])
    assert np.array_equal(found.index, order[:, 2])
    assert np.array_equal(nearest_other_neighbours(queries, reference, order[:, [0, 0]]).index, order[:, 1])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ((normal(2, 3, 0), normal(4, 3, 0)), "needs at least 3 training samples, got 2"),
        ((normal(5, 3, 0), normal(0, 3, 0)), "needs at least 1 synthetic sample, got 0: pass some"),
        ((normal(5, 3, 0), normal(4, 3, 0), normal(0, 3, 0)), "held-out sample, got 0: leave held_out away"),
        ((normal(5, 3, 0), normal(4, 2, 0)), "training and synthetic features must have the same width"),
        ((normal(5, 3, 0), normal(4, 3, 0) * np.float32(np.inf)), "synthetic features must be finite"),
    ],
)
def test_refusals(rows: tuple[np.ndarray, ...], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        check_copying(*rows)
