"""What the estimator refuses: in one line, before anything is trained or drawn."""

import json
from pathlib import Path

import numpy as np
import pytest

from riemaug.augmentor import Augmentor
from riemaug.errors import InvalidInputError, NotFittedError
from riemaug.serialization import DESCRIPTION_NAME
from tests.contract.small import PER_CLASS, digits, quick


def one_line(error: pytest.ExceptionInfo[Exception]) -> str:
    message = str(error.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("counts", [{2: 5}, {"0": 5}, {0: 1, None: 1}])
def test_unknown_labels_are_refused(fitted: Augmentor, counts: dict) -> None:
    with pytest.raises(InvalidInputError, match=r"classes seen in fit \(0, 1\)") as caught:
        fitted.sample(counts)
    one_line(caught)


@pytest.mark.parametrize(
    "count", [-1, 2.5, float("nan"), float("inf"), "5", None, [3, 3], {0: -2}, {1: "many"}]
)
@pytest.mark.usefixtures("unchecked")
def test_amounts_that_are_none_are_refused(fitted: Augmentor, count: object) -> None:
    with pytest.raises(InvalidInputError, match="must be integers of 0 or more") as caught:
        fitted.sample(count)
    one_line(caught)


def test_wrong_parameters_are_refused_at_fit_not_before() -> None:
    augmentor = Augmentor(latent_dim=-1)
    with pytest.raises(InvalidInputError, match="latent_dim: .* got -1") as caught:
        augmentor.fit(*digits())
    one_line(caught)
    assert not hasattr(augmentor, "generators_")


@pytest.mark.parametrize(
    "settings",
    [
        {"preset": "other"},
        {"model": "gan"},
        {"sampler": "guess"},
        {"bandwidth": 0.0},
        {"bandwidth": float("inf")},
        {"likelihood": "poisson"},
        {"max_epochs": 0},
        {"inverse_temperature": 0.0},
        {"random_state": -1},
        {"device": "quantum"},
        {"n_jobs": 0},
    ],
)
def test_impossible_parameters_are_refused_in_one_line(settings: dict) -> None:
    with pytest.raises(InvalidInputError) as caught:
        quick(**settings).fit(*digits())
    message = one_line(caught)
    assert str(next(iter(settings.values()))) in message


@pytest.mark.parametrize("sampler", ["mixture", "walk", "walk-paper"])
def test_a_vae_with_a_geometric_sampler_is_refused_before_training(sampler: str) -> None:
    augmentor = quick(model="vae", sampler=sampler, max_epochs=None)
    with pytest.raises(InvalidInputError, match=f"sampler {sampler} needs a learned metric") as caught:
        augmentor.fit(*digits())
    one_line(caught)


def test_a_sampler_changed_after_fit_is_checked_too() -> None:
    augmentor = quick(model="vae").fit(*digits())
    with pytest.raises(InvalidInputError, match="needs a learned metric"):
        augmentor.set_params(sampler="walk").sample(2)


def test_before_fit_it_says_so(tmp_path: Path) -> None:
    for use in (
        lambda: Augmentor().sample(3),
        lambda: Augmentor().save(tmp_path),
        lambda: Augmentor().scaler_,
    ):
        with pytest.raises(NotFittedError, match="must be fitted") as caught:
            use()
        one_line(caught)
    assert list(tmp_path.iterdir()) == []


def test_a_fit_that_fails_leaves_the_last_one_as_it_was() -> None:
    data, labels = digits()
    augmentor = quick(model="vae", random_state=None).fit(data, labels)
    samples = augmentor.sample(2)[0]
    with pytest.raises(InvalidInputError):
        augmentor.fit(data, labels[:-1])
    assert np.array_equal(augmentor.sample(2)[0], samples)


def test_damaged_folders_are_refused(tmp_path: Path, fitted: Augmentor) -> None:
    fitted.save(tmp_path)
    text = (tmp_path / DESCRIPTION_NAME).read_text(encoding="utf-8")
    assert len(json.loads(text)["models"]) == 2
    (tmp_path / DESCRIPTION_NAME).write_text(text[:-20], encoding="utf-8")
    with pytest.raises(InvalidInputError, match="must be whole") as caught:
        Augmentor.load(tmp_path)
    one_line(caught)


def bad_data() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    data, labels = digits()
    holes = data.astype(np.float32)
    holes[3, 1, 1] = np.nan
    return {
        "nan": (holes, labels),
        "infinite": (np.where(np.isnan(holes), np.inf, holes), labels),
        "short labels": (data, labels[:-1]),
        "lone sample": (data[: PER_CLASS + 1], labels[: PER_CLASS + 1]),
        "constant class": (np.where(labels[:, None, None] == 0, 7, data), labels),
        "text": (np.full((24, 2), "a"), labels),
        "complex": (data.astype(complex), labels),
        "fractions as labels": (data, labels + 0.5),
        "no samples": (data[:0], labels[:0]),
        "a number": (np.array(3.0), labels),
        "one axis": (data[:, 0, 0], labels),
    }


@pytest.mark.parametrize("name", bad_data())
def test_bad_data_are_refused_in_one_line(name: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        quick().fit(*bad_data()[name])
    one_line(caught)
