"""What age alone tells of dementia in OASIS: the score that any classifier of images must beat."""

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from riemaug.errors import InvalidInputError
from riemaug.study.datasets import StudyData

OLD = 60
"""Age in years from which the second baseline says AD; all AD subjects of OASIS-1 are 62 or older."""


def age_baselines(data: StudyData) -> dict[str, float]:
    """Return balanced accuracies on the test part that need no image.

    Parameters
    ----------
    data : StudyData
        Of OASIS.

    Returns
    -------
    dict
        "age_logistic": a logistic regression on age, fitted on the training part with both classes weighed
        alike. "age_60": AD from 60 years on. "age_logistic_60": the regression once more, fitted and
        scored on subjects of 60 years or more only, among whom the labels are not a matter of being young.

    Raises
    ------
    InvalidInputError
        The data set has no ages.
    """
    if data.ages is None:
        raise InvalidInputError(f"ages are needed, {data.name} has none: give one of the OASIS splits")
    ages = {part: years[:, None].astype(np.float64) for part, years in data.ages.items()}
    old = {part: years >= OLD for part, years in data.ages.items()}
    whole = {part: np.ones_like(rows) for part, rows in old.items()}
    labels = {"train": data.train.labels, "test": data.test.labels}
    return {
        "age_logistic": _logistic_score(ages, labels, whole),
        "age_60": float(balanced_accuracy_score(labels["test"], old["test"].astype(np.int64))),
        "age_logistic_60": _logistic_score(ages, labels, old),
    }


def _logistic_score(
    ages: dict[str, np.ndarray], labels: dict[str, np.ndarray], chosen: dict[str, np.ndarray]
) -> float:
    train, test = chosen["train"], chosen["test"]
    model = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced"))
    model.fit(ages["train"][train], labels["train"][train])
    found = model.predict(ages["test"][test])
    return float(balanced_accuracy_score(labels["test"][test], found))
