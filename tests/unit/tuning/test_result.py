"""When a search's best choice is taken, its file, and what is said of it."""

import json
import math
from pathlib import Path

import pytest

from riemaug.errors import InvalidInputError, TrainingError
from riemaug.models import ModelConfig
from riemaug.training import TrainingConfig
from riemaug.tuning.result import TuningResult, result_of
from riemaug.tuning.space import SearchSpace
from riemaug.tuning.store import Trial, TrialStore

MODEL, TRAINING = ModelConfig(kind="vae", data_dim=9), TrainingConfig()
SPACE = SearchSpace.of(MODEL, TRAINING, 32)
START = {"latent_dim": 2, "learning_rate": 1e-3}
OTHER = {"latent_dim": 5, "learning_rate": 2e-3}


def trial(number: int, evidence: list[float], choice: dict = OTHER, state: str = "complete") -> Trial:
    means = [sum(evidence) / len(evidence)] if evidence else []
    return Trial(number, choice, state, means, evidence, 1.5)


def result(*trials: Trial) -> TuningResult:
    return result_of(trials, SPACE, MODEL, TRAINING)


def test_a_clear_gain_is_taken() -> None:
    found = result(trial(0, [-5.0, -7.0, -6.0], START), trial(1, [-4.0, -6.2, -5.0]))
    assert found.is_adopted
    assert (found.model.latent_dim, found.training.learning_rate) == (5, 2e-3)
    assert found.gain == pytest.approx(2.8 / 3)
    # differences 1, 0.8, 1: standard deviation 0.11547, over sqrt 3
    assert found.standard_error == pytest.approx(0.06667, abs=1e-4)
    assert "-6.00 to -5.07 nats a sample (+0.93 +- 0.07) with latent_dim 5, learning_rate 0.002" in (
        found.describe()
    )


def test_a_gain_within_its_error_is_not() -> None:
    found = result(trial(0, [-5.0, -7.0, -6.0], START), trial(1, [-1.0, -9.0, -7.0]))
    assert found.best.number == 1
    assert not found.is_adopted
    assert (found.model, found.training) == (MODEL, TRAINING)
    assert found.choice == START
    assert "kept the defaults, the best was within its error" in found.describe()


def test_the_start_may_be_the_best_and_pruned_trials_are_never() -> None:
    found = result(trial(0, [-5.0, -7.0], START), trial(1, [-8.0, -7.0]), trial(2, [-1.0], state="pruned"))
    assert found.best.number == 0
    assert not found.is_adopted
    assert "tuning tried 2 choices on 2 held-out samples: none was better" in found.describe()


def test_a_start_that_failed_gives_way() -> None:
    found = result(trial(0, [], START, "failed"), trial(1, [-8.0, -7.0]))
    assert found.is_adopted
    assert math.isnan(found.gain)
    assert "as training with the defaults failed" in found.describe()
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["gain"] is None


def test_nothing_complete_is_an_error() -> None:
    with pytest.raises(TrainingError, match="the training of all 2 diverged"):
        result(trial(0, [], START, "failed"), trial(1, [], state="failed"))


def test_the_account_has_a_row_for_each_trial() -> None:
    account = result(
        trial(0, [-5.0, -7.0], START), trial(1, [-4.0, -6.0]), trial(2, [], {}, "failed")
    ).to_dict()
    assert account == json.loads(json.dumps(account, allow_nan=False))
    assert account["trials"][1] == {
        "number": 1,
        **OTHER,
        "state": "complete",
        "nats": -5.0,
        "seconds": 1.5,
    }
    assert account["trials"][2]["nats"] is None
    assert account["choice"] == OTHER


# the file


def test_a_stored_trial_comes_back_to_the_bit(tmp_path: Path) -> None:
    path = tmp_path / "trials.json"
    kept = trial(0, [-1 / 3, -2e-17], {"latent_dim": 3, "learning_rate": 0.1 + 0.2})
    TrialStore(path, {"a": 1}).add(kept)
    again = TrialStore(path, {"a": 1})
    assert again.trials == [kept]
    assert isinstance(again.trials[0].choice["latent_dim"], int)


def test_the_trials_of_another_search_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "trials.json"
    TrialStore(path, {"a": 1}).add(trial(0, [-1.0]))
    with pytest.raises(InvalidInputError, match="same data and options"):
        TrialStore(path, {"a": 2})


@pytest.mark.parametrize("content", ["", "[]", '{"format": 99}', '{"format": 1, "key": {}, "trials": [{}]}'])
def test_a_damaged_file_is_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / "trials.json"
    path.write_text(content)
    with pytest.raises(InvalidInputError, match="delete it to search anew"):
        TrialStore(path, {})
