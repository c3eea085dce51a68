"""`ManifoldOverSampler` beside SMOTE, class weights and nothing, in one cross-validated pipeline.

    python benchmarks/oversampling.py

Two data sets that ship with scikit-learn, made imbalanced 1:10: its digits (170 images of each of 0 to 4 and
17 of each of 5 to 9) and breast cancer (36 malignant cases to 357 benign ones). The sampler is a step of the
pipeline, so it sees the training rows of a fold only. All settings are the defaults. Seconds are CPU time of
one core for a fold: fit of the pipeline and prediction. Results: `results/oversampling.txt`.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from imblearn.datasets import make_imbalance
from imblearn.over_sampling import SMOTE
from imblearn.pipeline import Pipeline
from sklearn.base import BaseEstimator
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_validate
from sklearn.preprocessing import StandardScaler

from riemaug.oversampling import ManifoldOverSampler

RESULTS = Path(__file__).parent / "results" / "oversampling.txt"
SEED, FOLDS = 0, 5
SCORES = {"balanced_accuracy": "balanced accuracy", "f1_macro": "macro F1"}


@dataclass(frozen=True)
class Case:
    """A data set, what comes before the sampler, and the shape of its images."""

    name: str
    samples: np.ndarray
    labels: np.ndarray
    scaler: BaseEstimator | None
    image_shape: tuple[int, ...] | None


def cases() -> list[Case]:
    digits = load_digits()
    kept = {label: 17 if label >= 5 else 170 for label in range(10)}
    images, labels = make_imbalance(
        digits.data / 16, digits.target, sampling_strategy=kept, random_state=SEED
    )
    table = load_breast_cancer()
    rows, states = make_imbalance(
        table.data, table.target, sampling_strategy={0: 36, 1: 357}, random_state=SEED
    )
    return [
        Case("digits", images, labels, None, (8, 8)),
        Case("breast cancer", rows, states, StandardScaler(), None),
    ]


def samplers(case: Case) -> dict[str, tuple[BaseEstimator | None, str | None]]:
    """Return the sampler and the class weights that each name stands for."""
    manifold = ManifoldOverSampler(image_shape=case.image_shape, random_state=SEED, n_jobs=1)
    return {
        "none": (None, None),
        "class weights": (None, "balanced"),
        "SMOTE": (SMOTE(random_state=SEED), None),
        "ManifoldOverSampler": (manifold, None),
    }


def pipeline(case: Case, sampler: BaseEstimator | None, class_weight: str | None) -> Pipeline:
    return Pipeline(
        [
            ("scaler", case.scaler or "passthrough"),
            ("sampler", sampler or "passthrough"),
            ("classifier", LogisticRegression(max_iter=5000, class_weight=class_weight)),
        ]
    )


def lines(case: Case) -> Iterator[str]:
    sizes = ", ".join(str(size) for size in np.bincount(case.labels))
    yield f"{case.name}: {len(case.samples)} rows, {case.samples.shape[1]} columns, classes of {sizes}"
    yield f"{'':22s}{'balanced accuracy':>20s}{'macro F1':>20s}{'seconds a fold':>18s}"
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=SEED)
    for name, (sampler, class_weight) in samplers(case).items():
        started = time.process_time()
        found = cross_validate(
            pipeline(case, sampler, class_weight),
            case.samples,
            case.labels,
            cv=folds,
            scoring=list(SCORES),
            error_score="raise",
        )
        seconds = (time.process_time() - started) / FOLDS
        scores = "".join(f"{spread(found[f'test_{score}']):>20s}" for score in SCORES)
        yield f"{name:22s}{scores}{seconds:18.2f}"


def spread(values: np.ndarray) -> str:
    return f"{values.mean():.3f} +- {values.std(ddof=1):.3f}"


def report(tell: Callable[[str], None]) -> None:
    tell("python benchmarks/oversampling.py")
    tell(
        f"Mean +- standard deviation over {FOLDS} stratified folds, seed {SEED}; logistic regression; default"
        " settings of all"
    )
    for case in cases():
        tell("")
        for line in lines(case):
            tell(line)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=RESULTS, help="where to write the results")
    out = parser.parse_args().out
    torch.set_num_threads(1)
    written: list[str] = []

    def tell(line: str) -> None:
        print(line, file=sys.stderr, flush=True)
        written.append(line)

    report(tell)
    out.write_text("\n".join(written) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
