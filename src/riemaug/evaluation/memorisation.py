"""Whether a generator copies: distances of synthetic samples to the training set, beside those of real ones.

If nothing is copied, a synthetic sample is to the training set what a new real sample is. Real samples that
were held out show what that is; without any, each training sample is compared with the other ones.
"""

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Float32
from scipy import special, stats

from riemaug.errors import InvalidInputError
from riemaug.evaluation.copying import Neighbours, nearest_neighbours, nearest_other_neighbours
from riemaug.evaluation.membership import MembershipInference, membership_inference
from riemaug.evaluation.pairwise import check_finite, check_widths
from riemaug.random import Stream

NEAR_RATIO = 1 / 3
"""A sample this much closer to one training sample than to any other one is a near copy of it."""

LEVEL = 0.0025
"""Below this p-value a comparison counts as a finding: of four, one is by chance with probability 0.01."""

NEAREST_BLOCK = 8192

Reference = Literal["held-out real samples", "training samples, each against the others"]
HELD_OUT: Reference = "held-out real samples"
LEFT_OUT: Reference = "training samples, each against the others"


@dataclass(frozen=True)
class DistanceSummary:
    """Distances to the nearest training sample: the smallest one, and quantiles."""

    smallest: float
    quantile_5: float
    median: float
    quantile_95: float


@dataclass(frozen=True, eq=False)
class CopyingReport:
    """Synthetic samples against the training set, beside real ones against it.

    Attributes
    ----------
    reference : str
        Which real samples stand for "not copied".
    num_training, num_synthetic, num_reference : int
    synthetic_distance, reference_distance : DistanceSummary
    share_closer : float
        Share of the synthetic samples that are closer to the training set than any reference sample.
    expected_share_closer : float
        Its expectation if nothing is copied: 1 / (h + 1) for h held-out samples; 2 / (n + 1) where n training
        samples stand for them, as the closest two share one distance.
    closer_p_value : float
        Probability of as large a share if nothing is copied: exact for held-out samples, an upper bound for
        training samples.
    num_exact, num_near : int
        Synthetic samples that equal a training sample; of the others, those whose distance to one is less
        than `NEAR_RATIO` times that to any other (Yoon et al., Diffusion probabilistic models generalize
        when they fail to memorize, 2023).
    num_exact_reference, num_near_reference : int
        The same of the reference samples.
    membership : MembershipInference, optional
        Needs held-out samples.
    findings : tuple of str
        Sentences that say what points to copying; empty if nothing does.
    notes : tuple of str
        Sentences that say what the comparison cannot tell.
    flags : tuple of str
        "exact", "near" or "no" for each synthetic sample; not in `to_dict`.
    nearest : Neighbours
        Of each synthetic sample in the training set; not in `to_dict`.
    """

    reference: Reference
    num_training: int
    num_synthetic: int
    num_reference: int
    synthetic_distance: DistanceSummary
    reference_distance: DistanceSummary
    share_closer: float
    expected_share_closer: float
    closer_p_value: float
    num_exact: int
    num_near: int
    num_exact_reference: int
    num_near_reference: int
    membership: MembershipInference | None
    findings: tuple[str, ...]
    notes: tuple[str, ...]
    flags: tuple[str, ...]
    nearest: Neighbours

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values, those of single samples left out."""
        fields = asdict(self) | {"findings": list(self.findings), "notes": list(self.notes)}
        del fields["flags"], fields["nearest"]
        return fields


def check_copying(
    training: Float32[np.ndarray, "n D"],
    synthetic: Float32[np.ndarray, "m _"],
    held_out: Float32[np.ndarray, "h _"] | None = None,
    random_state: int | Stream = 0,
) -> CopyingReport:
    """Compare the synthetic samples with all of the training set, which is never sub-sampled.

    Parameters
    ----------
    training, synthetic : ndarray (n, D), (m, D)
        Rows of one feature space; of pixels, where equal rows are to mean equal samples.
    held_out : ndarray (h, D), optional
        Real samples of the same law that the generator never saw.
    random_state : int or Stream
        Of the bootstrap.

    Raises
    ------
    InvalidInputError
        Fewer than 3 training samples, no synthetic or held-out ones, other widths, values that are not
        finite.
    """
    _check_rows(training, synthetic, held_out)
    search = _Search(training)
    nearest, flags = search.compare(synthetic)
    if held_out is None:
        others, other_flags = search.compare_left_out()
        membership = None
    else:
        others, other_flags = search.compare(held_out)
        membership = _membership(training, synthetic, held_out, random_state)
    counts = _Counts.of(flags, other_flags)
    num_closer = int((nearest.distance < others.distance.min()).sum())
    expected, p_value = _closer_by_chance(num_closer, len(flags), len(other_flags), held_out is not None)
    return CopyingReport(
        reference=LEFT_OUT if held_out is None else HELD_OUT,
        num_training=len(training),
        num_synthetic=len(synthetic),
        num_reference=len(other_flags),
        synthetic_distance=_summary(nearest.distance),
        reference_distance=_summary(others.distance),
        share_closer=num_closer / len(synthetic),
        expected_share_closer=expected,
        closer_p_value=p_value,
        num_exact=counts.exact,
        num_near=counts.near,
        num_exact_reference=counts.exact_reference,
        num_near_reference=counts.near_reference,
        membership=membership,
        findings=tuple(_findings(counts, num_closer, expected, p_value, membership)),
        notes=tuple(_notes(counts, held_out is not None)),
        flags=flags,
        nearest=nearest,
    )


class _Search:
    """Nearest training samples, and which samples are copies of them."""

    def __init__(self, training: Float32[np.ndarray, "n D"]) -> None:
        self.training = training
        # rows that are there twice count once: else no copy of them would be closer to one than to another
        self.distinct, self.place = _distinct_rows(training)

    def compare(self, rows: Float32[np.ndarray, "m D"]) -> tuple[Neighbours, tuple[str, ...]]:
        """Return the nearest training sample of each row, and the row's flag."""
        first = nearest_neighbours(rows, self.training)
        return first, self._flags(rows, first, self.place[first.index][:, None])

    def compare_left_out(self) -> tuple[Neighbours, tuple[str, ...]]:
        """Return the same for each training sample among the others."""
        first = nearest_neighbours(self.training, self.training, leave_one_out=True)
        excluded = np.stack([self.place[first.index], self.place], 1)
        return first, self._flags(self.training, first, excluded)

    def _flags(self, rows: np.ndarray, first: Neighbours, excluded: np.ndarray) -> tuple[str, ...]:
        if len(self.distinct) <= excluded.shape[1]:
            near = np.zeros(len(rows), bool)
        else:
            second = nearest_other_neighbours(rows, self.training[self.distinct], excluded)
            near = first.distance < NEAR_RATIO * second.distance
        return tuple(
            "exact" if gap == 0.0 else "near" if is_near else "no"
            for gap, is_near in zip(first.distance, near, strict=True)
        )


@dataclass(frozen=True)
class _Counts:
    """How many of the samples and of the reference are copies."""

    samples: int
    reference: int
    exact: int
    near: int
    exact_reference: int
    near_reference: int

    @classmethod
    def of(cls, flags: tuple[str, ...], reference: tuple[str, ...]) -> "_Counts":
        counts = [kind.count(flag) for kind in (flags, reference) for flag in ("exact", "near")]
        return cls(len(flags), len(reference), *counts)


def _check_rows(training: np.ndarray, synthetic: np.ndarray, held_out: np.ndarray | None) -> None:
    if len(training) < 3:
        raise InvalidInputError(
            f"the copying check needs at least 3 training samples, got {len(training)}: pass all of them"
        )
    for name, rows in (("training", training), ("synthetic", synthetic), ("held-out", held_out)):
        if rows is None:
            continue
        if len(rows) == 0:
            raise InvalidInputError(
                f"the copying check needs at least 1 {name} sample, got 0: "
                + ("leave held_out away" if name == "held-out" else "pass some")
            )
        check_finite(rows, f"{name} features")
        check_widths(training, rows, f"training and {name} features")


def _distinct_rows(rows: Float32[np.ndarray, "n D"]) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices of the first of equal rows, and each row's place among those."""
    seen: dict[bytes, int] = {}
    # adding zero turns -0 into 0: equal numbers, equal bytes
    place = np.array([seen.setdefault((row + 0.0).tobytes(), len(seen)) for row in rows])
    return np.unique(place, return_index=True)[1], place


def _membership(
    training: np.ndarray, synthetic: np.ndarray, held_out: np.ndarray, random_state: int | Stream
) -> MembershipInference:
    members, others = (_distance_to(synthetic, rows) for rows in (training, held_out))
    return membership_inference(members, others, random_state=random_state)


def _distance_to(reference: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return the distance of each row to its nearest of the many reference rows."""
    distance = np.full(len(rows), np.inf)
    for start in range(0, len(reference), NEAREST_BLOCK):
        found = nearest_neighbours(rows, reference[start : start + NEAREST_BLOCK])
        np.minimum(distance, found.distance, out=distance)
    return distance


def _summary(distance: Float[np.ndarray, " n"]) -> DistanceSummary:
    return DistanceSummary(*map(float, np.quantile(distance, [0.0, 0.05, 0.5, 0.95])))


def _closer_by_chance(
    num_closer: int, num_synthetic: int, num_reference: int, is_held_out: bool
) -> tuple[float, float]:
    """Return the expected share of samples closer than any reference one, and the p-value.

    Held-out: synthetic and held-out samples are then exchangeable, and "the c smallest distances are all
    synthetic" has probability C(m, c) / C(m + h, c).

    Left out: r new samples are all closer to n training samples than those are to each other with probability
    P_r <= 2^r / C(n + r, r), as at most 2^r choices of r among n + r samples are so: of the closest two
    one must be chosen, then of the closest two that remain, and so on. For r = 1 the two are equal. Hence
    P(c of m or more) <= C(m, r) P_r / C(c, r) for any r <= c (Markov's inequality for C(count, r)).
    """
    if is_held_out:
        log_p_value = _log_binomial(num_synthetic, num_closer) - _log_binomial(
            num_synthetic + num_reference, num_closer
        )
        return 1.0 / (num_reference + 1), float(np.exp(log_p_value))
    order = np.arange(num_closer + 1)
    log_bounds = (
        order * np.log(2.0)
        + _log_binomial(num_synthetic, order)
        - _log_binomial(num_reference + order, order)
        - _log_binomial(num_closer, order)
    )
    return 2.0 / (num_reference + 1), float(np.exp(log_bounds.min()))


def _log_binomial(total: int | np.ndarray, chosen: int | np.ndarray) -> Any:
    return special.gammaln(total + 1) - special.gammaln(chosen + 1) - special.gammaln(total - chosen + 1)


def _findings(
    counts: _Counts, num_closer: int, expected: float, p_value: float, membership: MembershipInference | None
) -> list[str]:
    found = []
    exact = _excess_p_value(counts.exact, counts.exact_reference, counts)
    # equality is a fact, unless the data have duplicates of their own
    if counts.exact and (counts.exact_reference == 0 or exact < LEVEL):
        found.append(f"{counts.exact} of {counts.samples} synthetic samples equal a training sample.")
    if _excess_p_value(counts.near, counts.near_reference, counts) < LEVEL:
        found.append(
            f"{counts.near} of {counts.samples} synthetic samples are near copies of a training sample, "
            f"against {counts.near_reference} of {counts.reference} real ones."
        )
    if p_value < LEVEL:
        found.append(
            f"{num_closer} of {counts.samples} synthetic samples are closer to the training set than any "
            f"real one that is compared; {expected * counts.samples:.2g} are expected."
        )
    if membership is not None and membership.p_value < LEVEL:
        found.append(
            "Training samples can be told from held-out ones by the synthetic samples: AUC "
            f"{membership.auc:.3f}."
        )
    return found


def _excess_p_value(samples: int, reference: int, counts: _Counts) -> float:
    """Return Fisher's one-sided exact p-value that copies are no more frequent than in the reference."""
    total, copies = counts.samples + counts.reference, samples + reference
    return float(stats.hypergeom.sf(samples - 1, total, copies, counts.samples))


def _notes(counts: _Counts, is_held_out: bool) -> list[str]:
    notes = []
    if counts.exact_reference and is_held_out:
        notes.append(
            f"{counts.exact_reference} of {counts.reference} held-out samples equal a training sample: "
            "the sets overlap, no synthetic sample can be closer than they are."
        )
    if counts.exact_reference and not is_held_out:
        notes.append(
            f"{counts.exact_reference} of {counts.reference} training samples are there twice: no synthetic "
            "sample can be closer to the training set than they are to each other."
        )
    if not is_held_out:
        notes.append(
            "Without held-out samples each training sample is compared with the others: p-values are "
            "rougher, and membership inference is not measured."
        )
    return notes
