"""What dropping copies did, in sentences: how many, what that does to the law, and what is missing.

Dropping keeps the draws of a law that are not flagged: draws of that law, given that no flag is set. The two
laws differ in total variation by the probability of a flag, of which the share dropped is an estimate.

The thresholds: where one draw in twenty or fewer is dropped, the law is the stated one for most purposes;
where more than a half is, what is left says more about the flags than about the law.
"""

from riemaug.evaluation.copying import DroppedCopies
from riemaug.report.data import ClassReport, ReportData
from riemaug.report.formats import count, number, percent
from riemaug.report.words import Grade

DROPPED_GOOD, DROPPED_FAIR = 0.05, 0.5


def dropping_grade(report: ClassReport) -> Grade:
    """Return the grade of a class by what was dropped; "info" where nothing was to be."""
    dropped = report.dropped
    if dropped is None:
        return "info"
    if dropped.missing or dropped.share > DROPPED_FAIR:
        return "poor"
    return "good" if dropped.share <= DROPPED_GOOD else "fair"


def dropping_of_class(report: ClassReport) -> str:
    """Return what was dropped of a class and what that did to its law; empty where nothing was to be."""
    dropped = report.dropped
    if dropped is None:
        return ""
    if not dropped.count:
        return f"Copies were to be dropped: there was none among {count(dropped.drawn, 'draw')}."
    sentence = (
        f"{number(dropped.count)} of {count(dropped.drawn, 'draw')} ({number(dropped.exact)} exact and "
        f"{number(dropped.near)} near copies) were dropped. So the law of this class and the sampler's own "
        f"differ by about {percent(dropped.share)} in total variation."
    )
    if dropped.missing:
        sentence += (
            f" {count(dropped.missing, 'sample')} of the {number(dropped.wanted)} asked for "
            f"{'is' if dropped.missing == 1 else 'are'} missing."
        )
    return sentence


def dropping_of_run(data: ReportData, nouns: str) -> str:
    """Return what dropping did to the run as a whole; empty where copies were not to be dropped.

    Parameters
    ----------
    data : ReportData
    nouns : str
        What the samples are called: "images".
    """
    told = [report.dropped for report in data.classes if report.dropped is not None]
    if not told:
        return ""
    drawn, dropped = sum(item.drawn for item in told), sum(item.count for item in told)
    draws = count(drawn, "draw")
    if not dropped:
        return f"Copies were to be dropped: there was none among {draws}, so the law is unchanged."
    return (
        f"{number(dropped)} of {draws} ({percent(dropped / drawn)}) were copies of training {nouns} and were "
        "dropped; further draws took their place. This changes the law: the samples no longer follow the "
        "sampler's law exactly (by default Eq. 3 of the paper), but that law without the regions where a "
        f"sample counts as a copy. {_distances(told)} By so much, at most, is any kind of sample more "
        "frequent or rarer among all than under the sampler's law."
    )


def _distances(told: list[DroppedCopies]) -> str:
    shares = sorted(item.share for item in told)
    if len(shares) == 1:
        return f"The two laws differ by about {percent(shares[0])} in total variation."
    least, most = percent(shares[0]), percent(shares[-1])
    return f"Class by class the two laws differ by about {least} to {most} in total variation."
