"""`ManifoldOverSampler` and `Augmentor` against the estimator checks of imbalanced-learn and scikit-learn."""

from collections.abc import Callable, Iterator

import jaxtyping
import pytest
from imblearn.utils.estimator_checks import parametrize_with_checks as imbalanced_checks
from sklearn.base import BaseEstimator
from sklearn.utils.estimator_checks import parametrize_with_checks as sklearn_checks

from riemaug.augmentor import Augmentor
from riemaug.oversampling import ManifoldOverSampler

CHEAP = {"max_epochs": 1, "model": "vae", "random_state": 0, "n_jobs": 1}
WITHOUT_TRAINING = (
    "check_estimator_cloneable",
    "check_estimator_repr",
    "check_no_attributes_set_in_init",
    "check_do_not_raise_errors_in_init_or_set_params",
    "check_parameters_default_constructible",
    "check_get_params_invariance",
    "check_set_params",
    "check_estimators_unfitted",
    "check_requires_y_none",
    "check_mixin_order",
    "check_valid_tag_types",
)


@pytest.fixture(autouse=True)
def _as_users_call_it() -> Iterator[None]:
    """Without the check of types that only tests have: what is passed wrong, the estimator must refuse."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


def listed(checks: pytest.MarkDecorator) -> pytest.MarkDecorator:
    """The same checks as a list: pytest no longer wants a generator."""
    names, values = checks.args
    return pytest.mark.parametrize(names, list(values), **checks.kwargs)


@listed(imbalanced_checks([ManifoldOverSampler(**CHEAP)]))
def test_the_checks_of_imbalanced_learn(estimator: ManifoldOverSampler, check: Callable) -> None:
    check(estimator)


@listed(sklearn_checks([ManifoldOverSampler(**CHEAP)]))
def test_the_sampler_passes_the_checks_of_scikit_learn(
    estimator: ManifoldOverSampler, check: Callable
) -> None:
    check(estimator)


def cannot_apply(estimator: BaseEstimator) -> dict[str, str]:
    return {"check_dtype_object": "wants a TypeError for objects that are no numbers, ours is a ValueError"}


@pytest.mark.slow
@listed(sklearn_checks([Augmentor(**CHEAP)], expected_failed_checks=cannot_apply))
def test_augmentor_passes_the_checks_of_scikit_learn(estimator: Augmentor, check: Callable) -> None:
    check(estimator)


@pytest.mark.parametrize("name", WITHOUT_TRAINING)
def test_augmentor_passes_the_checks_that_need_no_training(name: str) -> None:
    import sklearn.utils.estimator_checks as checks

    getattr(checks, name)("Augmentor", Augmentor(**CHEAP))
