"""`--tune` and `--augment-training` through the commands: what they change, record, refuse; resuming."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from cli_runs import QUICK, kill_group, run_for_real, same_bytes, start, wait_until

from riemaug import Augmentor
from riemaug.errors import InvalidInputError
from riemaug.serialization import load_generators

FAST = ("--model", "vae", "--per-class", 3, *QUICK)


def run_json(out: Path) -> dict:
    return json.loads((out / "run.json").read_text())


def trials_done(out: Path) -> int:
    try:
        return len(json.loads((out / ".riemaug" / "trials.json").read_text())["trials"])
    except FileNotFoundError:
        return 0


def test_a_search_is_recorded_and_what_it_found_is_used(cli, digits, tmp_path):
    out = tmp_path / "out"
    done = cli("augment", digits, out, *FAST, "--tune", 3, "--json")
    assert done.code == 0, done.err
    record = run_json(out)
    account = record["tuning"]
    assert [trial["number"] for trial in account["trials"]] == [0, 1, 2, 3]
    assert account["held_out_samples"] == 5  # 2 of 12 and 3 of 14
    assert account["trials"][0]["latent_dim"] == 2
    (note,) = [note for note in record["notes"] if note.startswith("Tuning tried 3 choices")]
    assert note == account["note"]
    assert note.removesuffix(".") in (out / "report.html").read_text()
    models = [item.model.config for item in load_generators(out).classes]
    assert {config.latent_dim for config in models} == {account["choice"]["latent_dim"]}
    assert not (out / ".riemaug").exists()


def test_a_given_constant_is_not_searched(cli, digits, tmp_path):
    out = tmp_path / "out"
    assert cli("fit", digits, out, "--model", "vae", *QUICK, "--tune", 2, "--latent-dim", 3).code == 0
    assert all(set(trial) >= {"learning_rate"} for trial in run_json(out)["tuning"]["trials"])
    assert all("latent_dim" not in trial for trial in run_json(out)["tuning"]["trials"])
    assert {item.model.config.latent_dim for item in load_generators(out).classes} == {3}


def test_classes_that_share_a_model_are_searched_together(cli, digits, tmp_path):
    out = tmp_path / "out"
    options = ("--preset", "conditional", "--sharing", "always", "--network", "mlp", "--augment-training")
    done = cli("fit", digits, out, *options, *QUICK, "--latent-dim", 2, "--tune", 1)
    assert done.code == 0, done.err
    assert len(run_json(out)["tuning"]["trials"]) == 2
    first, second = load_generators(out).classes
    assert first.model is second.model
    # two classes, and a turn, two shifts, a scale and a shear
    assert first.model.config.num_conditions == 7


@pytest.mark.slow
def test_a_killed_search_goes_on_with_the_same_trials(digits, tmp_path):
    options = ("--model", "vae", "--per-class", 3, "--max-epochs", 150, "--jobs", 1, "--tune", 6)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert run_for_real("augment", digits, whole, *options).code == 0
    process = start("augment", digits, killed, *options)
    wait_until(lambda: trials_done(killed) >= 3, process)
    kill_group(process)
    assert 3 <= trials_done(killed) <= 7
    done = run_for_real("augment", digits, killed, *options, "--resume")
    assert done.code == 0, done.err
    assert same_bytes(killed) == same_bytes(whole)
    accounts = [run_json(out)["tuning"] for out in (whole, killed)]
    for account in accounts:
        for trial in account["trials"]:
            del trial["seconds"]
    assert accounts[0] == accounts[1]


def test_training_on_transformed_images_changes_the_models_and_is_told(cli, digits, tmp_path):
    plain, turned = tmp_path / "plain", tmp_path / "turned"
    assert cli("augment", digits, plain, *FAST).code == 0
    assert cli("augment", digits, turned, *FAST, "--augment-training").code == 0
    assert same_bytes(plain) != same_bytes(turned)
    config = load_generators(turned).classes[0].model.config
    assert (config.num_conditions, config.data_shape) == (5, (8, 8))
    assert run_json(turned)["request"]["generator"]["augment_training"] is True
    again = tmp_path / "again"
    assert cli("sample", turned, again, "--per-class", 3).code == 0
    assert {k: v for k, v in same_bytes(again).items() if k.endswith(".png")} == {
        k: v for k, v in same_bytes(turned).items() if k.endswith(".png")
    }


# what is refused, before anything is written


def test_tables_have_nothing_to_turn(cli, tmp_path):
    rows = np.random.default_rng(0).random((20, 4))
    np.savez(tmp_path / "table.npz", X=rows, y=np.arange(20) % 2)
    refused = cli("augment", tmp_path / "table.npz", tmp_path / "out", *FAST, "--augment-training")
    assert refused.code == 2
    assert "--augment-training turns images and volumes, DATA has a table of 4 columns" in refused.message
    assert not (tmp_path / "out").exists()


def test_a_time_limit_needs_a_search(cli, digits, tmp_path):
    refused = cli("augment", digits, tmp_path / "out", *FAST, "--tune-time", 5)
    assert refused.code == 2
    assert "--tune-time limits a search" in refused.message


def test_a_search_needs_optuna(cli, digits, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    refused = cli("augment", digits, tmp_path / "out", *FAST, "--tune", 5)
    assert refused.code == 2
    assert "pip install 'riemaug[tune]'" in refused.message
    assert not (tmp_path / "out").exists()


# from Python


def test_the_estimator_searches_too(digits):
    X = np.random.default_rng(0).random((16, 5, 5))
    y = np.repeat([0, 1], 8)
    settings = {"model": "vae", "max_epochs": 3, "random_state": 0, "n_jobs": 1}
    augmentor = Augmentor(tune=2, augment_training=True, **settings).fit(X, y)
    assert augmentor.tuning_ is not None
    assert len(augmentor.tuning_["trials"]) == 3
    assert augmentor.sample(2)[0].shape == (4, 5, 5)
    assert Augmentor(**settings).fit(X, y).tuning_ is None
    with pytest.raises(InvalidInputError, match="tune"):
        Augmentor(tune=0, **settings).fit(X, y)
