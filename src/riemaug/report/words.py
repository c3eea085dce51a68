"""Sampler diagnostics in plain words: what each one means and whether its value is good.

The thresholds and why
----------------------
R-hat
    Rank-normalised split R-hat compares chains with each other; 1.01 is the limit that Vehtari et al. (2021)
    recommend, 1.05 an older, laxer habit above which the chains plainly disagree.
Effective sample size
    400 (100 for each of four chains) is what the same authors need for R-hat and the errors to be stable;
    below 100 even an average is known to a tenth of a standard deviation only.
Acceptance
    A random walk works best near 0.2 to 0.6 and Hamiltonian chains near 0.65 to 0.9. Below 0.1 a chain hardly
    moves. A rejection sampler is exact at any acceptance, only slower.
Effective fraction
    Below 0.1 fewer than one weighted draw in ten counts.
Pareto k-hat
    Below 0.5 the weights have a finite variance; above 0.7 importance sampling is unreliable at any practical
    number of draws (Vehtari et al. 2024).
Flat mass
    Above 0.01 one draw in a hundred, above 0.1 one in ten comes from where there are no training data.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from riemaug.report.data import Value
from riemaug.report.formats import DASH, number, percent

Grade = Literal["good", "fair", "poor", "info"]

RHAT_GOOD, RHAT_FAIR = 1.01, 1.05
ESS_GOOD, ESS_FAIR = 400.0, 100.0
EFFECTIVE_GOOD, EFFECTIVE_FAIR = 0.5, 0.1
KHAT_GOOD, KHAT_FAIR = 0.5, 0.7
FLAT_GOOD, FLAT_FAIR = 0.01, 0.1
WALK_GOOD, HAMILTONIAN_GOOD = (0.2, 0.8), (0.6, 0.97)
ACCEPTANCE_POOR = 0.1
REJECTION_SLOW = 0.01

SAMPLERS = {
    "mixture": "independent draws from a mixture around the encoded training data, corrected to the stated "
    "density; draws do not depend on each other",
    "walk": "a Riemannian random walk along geodesics with a corrected acceptance rule; each draw "
    "is the last state of a chain of its own",
    "walk-paper": "the random walk as the paper prints it, for comparison only: it does not have the law "
    "that the paper states, and a part of its chains may end far from the data",
    "walk-paper-code": "the random walk as the paper's authors published it as code, for comparison only: it "
    "stays closer to the training data than the stated law",
    "hmc": "Hamiltonian Monte Carlo on the stated density; each draw is the last state of a chain of its own",
    "prior": "draws from the standard normal prior, with no regard to where the data are: a baseline",
}
"""What each sampler does, in one clause."""

PAPER_WALKS = frozenset({"walk-paper", "walk-paper-code"})
_CHAINS = frozenset({"walk", "hmc"}) | PAPER_WALKS


@dataclass(frozen=True)
class Reading:
    """One diagnostic as a person reads it.

    Parameters
    ----------
    name : str
        Name in the diagnostics mapping.
    label, value, sentence : str
        What it is called, its value, and what this value means.
    grade : {"good", "fair", "poor", "info"}
        "info" where no value is better than another one, or where the value is unknown.
    """

    name: str
    label: str
    value: str
    grade: Grade
    sentence: str


def _below(value: float, good: float, fair: float) -> Grade:
    return "good" if value <= good else "fair" if value <= fair else "poor"


def _above(value: float, good: float, fair: float) -> Grade:
    return "good" if value >= good else "fair" if value >= fair else "poor"


def _acceptance(value: float, sampler: str) -> tuple[Grade, str]:
    if sampler not in _CHAINS:
        meaning = "Share of proposed points that were kept."
        if value < REJECTION_SLOW:
            return "fair", f"{meaning} So few make sampling slow, but not less exact."
        return "info", f"{meaning} It sets the speed; the draws are as exact at any value."
    low, high = HAMILTONIAN_GOOD if sampler == "hmc" else WALK_GOOD
    meaning = "Share of the steps that the chains took."
    if value < ACCEPTANCE_POOR:
        return "poor", f"{meaning} So few mean that the chains hardly move: the draws repeat each other."
    if value < low:
        return "fair", f"{meaning} Rather low (usual: {low:g} to {high:g}): smaller steps would mix faster."
    if value > high:
        return (
            "fair",
            f"{meaning} Rather high (usual: {low:g} to {high:g}): the steps may be too short to explore.",
        )
    return "good", f"{meaning} In the usual range ({low:g} to {high:g})."


def _divergences(value: float, _: str) -> tuple[Grade, str]:
    meaning = "Steps whose numerical path broke down."
    if value == 0:
        return "good", f"{meaning} There were none."
    return "fair", f"{meaning} They were rejected; regions that cause them may be under-represented."


def _rhat(value: float, _: str) -> tuple[Grade, str]:
    grade = _below(value, RHAT_GOOD, RHAT_FAIR)
    verdict = {
        "good": f"At most {RHAT_GOOD}: the chains agree.",
        "fair": f"Above {RHAT_GOOD}: the chains do not fully agree yet; run them longer.",
        "poor": f"Above {RHAT_FAIR}: the chains disagree, so the draws depend on where the chains started.",
    }
    return grade, f"Compares the chains with each other; 1 is ideal. {verdict[grade]}"


def _ess(what: str) -> Callable[[float, str], tuple[Grade, str]]:
    def read(value: float, _: str) -> tuple[Grade, str]:
        grade = _above(value, ESS_GOOD, ESS_FAIR)
        verdict = {
            "good": f"At least {ESS_GOOD:g}: enough.",
            "fair": f"Under {ESS_GOOD:g}: usable, but less variety than the number of samples suggests.",
            "poor": f"Under {ESS_FAIR:g}: the chains are too short or mix too slowly.",
        }
        return grade, f"How many independent draws the chains are worth {what}. {verdict[grade]}"

    return read


def _effective_fraction(value: float, _: str) -> tuple[Grade, str]:
    grade = _above(value, EFFECTIVE_GOOD, EFFECTIVE_FAIR)
    verdict = {
        "good": "At least half: the draws are nearly evenly weighted.",
        "fair": "Under a half: some draws count more than others.",
        "poor": f"Under {EFFECTIVE_FAIR:g}: a few draws dominate, and samples repeat the same points.",
    }
    return grade, f"Share of the weighted draws that count as independent ones. {verdict[grade]}"


def _khat(value: float, _: str) -> tuple[Grade, str]:
    grade = _below(value, KHAT_GOOD, KHAT_FAIR)
    verdict = {
        "good": f"At most {KHAT_GOOD}: reliable.",
        "fair": f"Between {KHAT_GOOD} and {KHAT_FAIR}: usable, but converges slowly.",
        "poor": f"Above {KHAT_FAIR}: the weights are too uneven to trust, so are the draws.",
    }
    return grade, f"How heavy the tail of the weights is. {verdict[grade]}"


def _flat_mass(value: float, _: str) -> tuple[Grade, str]:
    grade = _below(value, FLAT_GOOD, FLAT_FAIR)
    verdict = {
        "good": "Nearly none.",
        "fair": "Some samples come from there and may look unlike the data.",
        "poor": "Many samples come from there and may look unlike the data.",
    }
    return (
        grade,
        f"Share of the density that lies in the flat region, far from all training data. {verdict[grade]}",
    )


def _converged(value: float, _: str) -> tuple[Grade, str]:
    if value:
        return "good", "The sampler's own checks passed; the sentence above says which."
    failed = "The sampler's own checks did not pass; the sentence above says which."
    return "poor", f"{failed} Take the samples of this class with care."


def _info(sentence: str) -> Callable[[float, str], tuple[Grade, str]]:
    return lambda _value, _sampler: ("info", sentence)


_Reader = Callable[[float, str], tuple[Grade, str]]
_KNOWN: dict[str, tuple[str, Callable[[float], str], _Reader]] = {
    "converged": ("Converged", lambda v: number(bool(v)), _converged),
    "acceptance": ("Acceptance", percent, _acceptance),
    "step_size": (
        "Step size",
        number,
        _info("How far the chains try to move at once; tuned beforehand where the sampler does so."),
    ),
    "num_draws": ("Draws", lambda v: number(int(v)), _info("Latent points that were drawn and judged.")),
    "outside": (
        "Steps out of the support",
        lambda v: number(int(v)),
        _info(
            "Proposed steps that left the region around the training data. They were rejected; many of them "
            "show in a low acceptance."
        ),
    ),
    "divergences": ("Divergences", lambda v: number(int(v)), _divergences),
    "rhat": ("R-hat", lambda v: number(v, 4), _rhat),
    "ess_bulk": ("Effective sample size, bulk", lambda v: number(round(v)), _ess("for averages")),
    "ess_tail": ("Effective sample size, tails", lambda v: number(round(v)), _ess("for rare values")),
    "effective_fraction": ("Effective fraction", percent, _effective_fraction),
    "khat": ("Pareto k-hat", number, _khat),
    "flat_mass": ("Mass in the flat region", percent, _flat_mass),
    "expected_log_density": (
        "Log density at the draws",
        number,
        _info("Average over the draws. Far below the value at the training data, draws lie off the data."),
    ),
    "centroid_log_density": (
        "Log density at the training data",
        number,
        _info("Average over the encoded training data, to compare with the draws."),
    ),
    "log_normalizer": (
        "Log normalising constant",
        number,
        _info("Turns the density into a probability. No value is better than another."),
    ),
    "log_normalizer_check": (
        "Log normalising constant, again",
        number,
        _info("The same from a second, different proposal. A large difference tells of missed mass."),
    ),
    "evaluations": (
        "Density evaluations",
        lambda v: number(int(v)),
        _info("What sampling cost: how often the density was computed."),
    ),
}
MESSAGE = "message"


def label(name: str) -> str:
    """Return what a diagnostic is called in the report."""
    return _KNOWN[name][0] if name in _KNOWN else name.replace("_", " ").capitalize()


def read_one(name: str, value: Value, sampler: str) -> Reading:
    """Return one diagnostic in words.

    Parameters
    ----------
    name : str
        Its name; an unknown one is shown without a judgement.
    value : float, int, str, bool or None
        Its value; what is no number is not judged.
    sampler : str
        Name of the sampler: the same acceptance means different things.
    """
    if name not in _KNOWN:
        return Reading(name, label(name), number(value), "info", "")
    title, shown, read = _KNOWN[name]
    if value is None or isinstance(value, str):
        return Reading(
            name, title, number(value), "info", "Not measured, or without meaning for this sampler."
        )
    if math.isnan(value):
        return Reading(name, title, DASH, "fair", "Could not be computed from these draws.")
    grade, sentence = read(float(value), sampler)
    return Reading(name, title, number(value) if math.isinf(value) else shown(value), grade, sentence)


def read_diagnostics(diagnostics: Mapping[str, Value], sampler: str) -> tuple[Reading, ...]:
    """Return every measured diagnostic in words, the known ones first and in a fixed order.

    Those that are None are left out (see `unmeasured`), and so is the sampler's `message`.
    """
    measured = [name for name, value in diagnostics.items() if value is not None and name != MESSAGE]
    known = [name for name in _KNOWN if name in measured]
    others = sorted(name for name in measured if name not in _KNOWN)
    return tuple(read_one(name, diagnostics[name], sampler) for name in known + others)


def unmeasured(diagnostics: Mapping[str, Value]) -> tuple[str, ...]:
    """Return the labels of the diagnostics that this sampler does not have: those that are None."""
    return tuple(label(name) for name, value in diagnostics.items() if value is None and name != MESSAGE)


def worst(grades: list[Grade]) -> Grade:
    """Return the worst of some grades; "info" when nothing was judged."""
    for grade in ("poor", "fair", "good"):
        if grade in grades:
            return grade
    return "info"
