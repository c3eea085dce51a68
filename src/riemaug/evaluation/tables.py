"""An evaluation as people read it: sentences and tables in Markdown."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from riemaug.evaluation.outcome import Evaluation, MeanScore
from riemaug.evaluation.set_names import described
from riemaug.evaluation.verdict import Verdict

_TAG = re.compile(r"<(?=[A-Za-z/!?])")
PERCENT = {"accuracy": "accuracy", "balanced_accuracy": "balanced accuracy", "macro_f1": "macro-F1"}
PLAIN = {"auc": "AUC", "expected_calibration_error": "calibration error", "brier": "Brier score"}
MEASURES = (
    "",
    "precision",
    "recall",
    "density",
    "coverage (expected)",
    "KID",
    "MMD p",
    "told apart: AUC (p)",
    "Fréchet",
)


@dataclass(frozen=True)
class TextTable:
    """Cells as text; all rows are as long as the header."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def markdown(self) -> str:
        """Return the table in Markdown."""
        rule = tuple("---" for _ in self.header)
        lines = [self.header, rule, *self.rows]
        return "\n".join("| " + " | ".join(map(_markdown_cell, line)) + " |" for line in lines)


def _markdown_cell(text: str) -> str:
    """Return text that stays in its cell and is no HTML: names of classes may be anything."""
    return _TAG.sub("&lt;", " ".join(text.split())).replace("|", "\\|")


def score_table(evaluation: Evaluation, classifier: str) -> TextTable:
    """Return all scores of a classifier, a row for each training set."""
    settings = evaluation.settings
    rows = []
    for name in settings["trained_on"]:
        sizes = [fold[name] for fold in settings["training_sizes"]]
        scores = [_percent(evaluation.score(classifier, name, key)) for key in PERCENT]
        scores += [_plain(evaluation.score(classifier, name, key)) for key in PLAIN]
        rows.append((described(name, settings["classic"]), _range(sizes), *scores))
    return TextTable(("trained on", "samples", *PERCENT.values(), *PLAIN.values()), tuple(rows))


def short_table(evaluation: Evaluation, classifier: str) -> TextTable:
    """Return balanced accuracy and its difference to real samples alone, a row for each training set."""
    settings = evaluation.settings
    against_real = {
        verdict.trained_on: f"{100 * verdict.difference.mean:+.1f} ({_interval(verdict)})"
        for verdict in evaluation.comparisons
        if (verdict.classifier, verdict.compared_with) == (classifier, "real")
    }
    rows = [
        (
            described(name, settings["classic"]),
            _range([fold[name] for fold in settings["training_sizes"]]),
            _percent(evaluation.score(classifier, name, "balanced_accuracy")),
            against_real.get(name, ""),
        )
        for name in settings["trained_on"]
    ]
    header = ("trained on", "samples", "balanced accuracy", "against real, points (95 %)")
    return TextTable(header, tuple(rows))


def difference_table(evaluation: Evaluation) -> TextTable:
    """Return all comparisons, in points of balanced accuracy."""
    rows = [
        (
            verdict.classifier,
            *(
                described(name, evaluation.settings["classic"])
                for name in (verdict.trained_on, verdict.compared_with)
            ),
            f"{100 * verdict.difference.mean:+.1f}",
            _interval(verdict),
            verdict.effect,
        )
        for verdict in evaluation.comparisons
    ]
    header = ("classifier", "trained on", "compared with", "difference", "95 % interval", "verdict")
    return TextTable(header, tuple(rows))


def fidelity_table(report: dict[str, Any], name: str = "all classes") -> TextTable:
    """Return the measures overall and class by class."""
    overall = [(name, report["overall"])] if report["overall"] else []
    rows = [(label, *_measures(scores)) for label, scores in [*overall, *report["per_class"].items()]]
    header = (
        "",
        "precision",
        "recall",
        "density",
        "coverage (expected)",
        "KID",
        "MMD p",
        "told apart: AUC (p)",
    )
    return TextTable(header, tuple(rows))


def copying_table(reports: Sequence[dict[str, Any]]) -> TextTable:
    """Return what the copying checks compared, a row for each."""
    rows = []
    for number, report in enumerate(reports, 1):
        membership = report["membership"]
        rows.append(
            (
                str(number) if len(reports) > 1 else "all",
                f"{report['num_exact']} of {report['num_synthetic']:,}",
                f"{report['num_near']} ({report['num_near_reference']} of {report['num_reference']:,})",
                f"{_share(report['share_closer'])} ({_share(report['expected_share_closer'])})",
                "" if membership is None else f"{membership['auc']:.2f}",
            )
        )
    header = (
        "fold" if len(reports) > 1 else "",
        "exact copies",
        "near copies (of real ones)",
        "closer than any real one (expected)",
        "membership AUC",
    )
    return TextTable(header, tuple(rows))


def told(verdict: Verdict, classic: str) -> str:
    """Return a verdict with what it is about."""
    new, old = described(verdict.trained_on, classic), described(verdict.compared_with, classic)
    return f"{new} against {old}: {verdict.words}"


def markdown(evaluation: Evaluation) -> str:
    """Return the whole evaluation as a Markdown document."""
    parts = ["# Evaluation of synthetic samples", *_sections(evaluation)]
    return "\n\n".join(parts) + "\n"


def _sections(evaluation: Evaluation) -> Iterator[str]:
    settings = evaluation.settings
    if evaluation.runs:
        yield "## Do they help?"
        yield "\n".join(f"- {told(verdict, settings['classic'])}" for verdict in evaluation.verdicts)
        yield _how(settings)
        for classifier in settings["classifiers"]:
            yield f"### {classifier}: mean (standard deviation) over the runs"
            yield score_table(evaluation, classifier).markdown()
        yield "### Differences of balanced accuracy, in points"
        yield difference_table(evaluation).markdown()
    yield from _fidelity(evaluation)
    if evaluation.copying:
        yield "## Are they copies?"
        findings = evaluation.findings or ("Nothing points to copying.",)
        yield "\n".join(f"- {finding}" for finding in findings)
        yield copying_table(evaluation.copying).markdown()
        yield from _bullets(note for report in evaluation.copying[:1] for note in report["notes"])
    if evaluation.notes:
        yield "## Notes"
        yield from _bullets(evaluation.notes)


def _how(settings: Any) -> str:
    counts = settings["samples"][0]
    sums = {name: sum(sizes) for name, sizes in counts.items()}
    basis = (
        "folds, corrected for the training samples that they share"
        if settings["folds"]
        else "seeds and for the finite test set, but not for another draw of the real samples"
    )
    first = f" (numbers of the first of {settings['folds']} folds)" if settings["folds"] else ""
    again = (
        ""
        if settings["folds"]
        else ", after which networks whose set has real samples are trained anew on all real ones"
    )
    return (
        f"{sums['training']:,} real and {sums['synthetic']:,} synthetic samples to train on, "
        f"{sums['validation']:,} other real ones that decide when a training stops{again}; "
        f"{sums['test']:,} held-out real ones to test on{first}. Runs that are compared share their first "
        f"weights. The 95 % t intervals allow for the {basis}."
    )


def _fidelity(evaluation: Evaluation) -> Iterator[str]:
    if not evaluation.fidelity:
        return
    first = evaluation.fidelity[0]
    yield "## Are they like real ones?"
    yield (
        f"Compared with {first['num_real']:,} {first['compared_with']}, in the space: "
        f"{first['feature_space']}. What the numbers mean: docs/evaluation.md."
    )
    folds = len(evaluation.fidelity)
    for number, report in enumerate(evaluation.fidelity, 1):
        if folds > 1:
            yield f"Fold {number}:"
        yield fidelity_table(report).markdown()
    yield from _bullets(first["notes"])


def _bullets(lines: Any) -> Iterator[str]:
    text = "\n".join(f"- {line}" for line in lines)
    if text:
        yield text


def _measures(scores: dict[str, Any]) -> tuple[str, ...]:
    near, kid, two = scores["neighbourhoods"], scores["kid"], scores["two_sample"]
    return (
        f"{near['precision']:.2f}",
        f"{near['recall']:.2f}",
        f"{near['density']:.2f}",
        f"{near['coverage']:.2f} ({near['expected_coverage']:.2f})",
        f"{kid['value']:.2g} ± {kid['standard_error']:.1g}",
        f"{scores['mmd']['p_value']:.2g}",
        f"{two['auc']:.2f} ({two['p_value']:.2g})",
        f"{scores['frechet']['value']:.3g}",
    )


def _share(value: float) -> str:
    return f"{100 * value:.3g} %"


def _interval(verdict: Verdict) -> str:
    gap = verdict.difference
    if gap.low is None or gap.high is None:
        return gap.reason
    return f"{100 * gap.low:+.1f} to {100 * gap.high:+.1f}"


def _percent(score: MeanScore | None) -> str:
    if score is None:
        return ""
    spread = "" if score.deviation is None else f" ({100 * score.deviation:.1f})"
    return f"{100 * score.mean:.1f} %{spread}"


def _plain(score: MeanScore | None) -> str:
    if score is None:
        return ""
    spread = "" if score.deviation is None else f" ({score.deviation:.3f})"
    return f"{score.mean:.3f}{spread}"


def _range(sizes: Sequence[int]) -> str:
    low, high = min(sizes), max(sizes)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"
