"""Same seed, same bytes: whatever the jobs, the batches, the command, the other classes."""

from pathlib import Path

import numpy as np
import pytest
from cli_runs import QUICK, digit_arrays, run_for_real, same_bytes, write_digits
from safetensors.numpy import load_file

from riemaug.data import read_dataset

BASELINE = ("--per-class", 10, "--seed", 3)


def images_of(out: Path) -> dict[str, str]:
    return {name: digest for name, digest in same_bytes(out).items() if name.endswith(".png")}


def test_the_sampling_batch_changes_no_byte(cli, digits, finished, tmp_path):
    out = tmp_path / "out"
    assert cli("augment", digits, out, *BASELINE, *QUICK, "--batch-size", 7, "-q").code == 0
    assert len(same_bytes(out)) == 23
    assert same_bytes(out) == same_bytes(finished)
    assert cli("sample", finished, tmp_path / "one", *BASELINE, "--batch-size", 1).code == 0
    assert images_of(tmp_path / "one") == images_of(finished)


@pytest.mark.slow
def test_two_jobs_change_no_byte(digits, finished, tmp_path):
    out = tmp_path / "out"
    options = [*BASELINE, "--max-epochs", 15, "--jobs", 2]
    assert run_for_real("augment", digits, out, *options).code == 0
    assert same_bytes(out) == same_bytes(finished)


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["walk", "walk-paper", "walk-paper-code", "hmc", "prior", "mixture"])
def test_jobs_and_batches_change_no_byte_of_any_sampler(cli, digits, finished, tmp_path, sampler):
    options = ["--per-class", 100, "--seed", 5, "--sampler", sampler]
    for name, run in (("a", [1, 256]), ("b", [2, 7])):
        jobs = ["--jobs", run[0], "--batch-size", run[1]]
        assert cli("sample", finished, tmp_path / name, *options, *jobs).code == 0
    assert len(same_bytes(tmp_path / "a")) == 202
    assert same_bytes(tmp_path / "a") == same_bytes(tmp_path / "b")


def test_another_seed_gives_another_model(cli, digits, finished, tmp_path):
    assert cli("fit", digits, tmp_path / "model", "--seed", 4, *QUICK).code == 0
    assert same_bytes(tmp_path / "model")["model.safetensors"] != same_bytes(finished)["model.safetensors"]


def test_another_seed_gives_other_draws_of_the_same_model(cli, finished, tmp_path):
    assert cli("sample", finished, tmp_path / "out", "--per-class", 10, "--seed", 4).code == 0
    other, ours = images_of(tmp_path / "out"), images_of(finished)
    assert other.keys() == ours.keys()
    assert sum(other[name] == ours[name] for name in ours) <= 2


MODEL_FILES = {"model.safetensors", "model.json", "run.json", "run.log", "MODEL_CARD.md"}


def test_fit_and_sample_equal_augment(cli, digits, finished, tmp_path):
    model, out = tmp_path / "model", tmp_path / "out"
    assert cli("fit", digits, model, "--seed", 3, *QUICK).code == 0
    assert {path.name for path in model.iterdir()} == MODEL_FILES
    assert cli("sample", model, out, *BASELINE, "--batch-size", 4).code == 0
    names = {"metadata.csv", "manifest.csv", "run.json", "run.log", "none", "one"}
    assert {path.name for path in out.iterdir()} == names
    assert images_of(out) == images_of(finished)
    assert same_bytes(model)["model.safetensors"] == same_bytes(finished)["model.safetensors"]


def test_more_samples_begin_with_the_fewer(cli, finished, tmp_path):
    assert cli("sample", finished, tmp_path / "more", "--per-class", 300, "--seed", 3).code == 0
    more, fewer = images_of(tmp_path / "more"), images_of(finished)
    assert {name: more[name] for name in fewer} == fewer


def test_a_class_trains_alike_whatever_other_classes_there_are(cli, finished, tmp_path):
    # the range of all classes is the scale of each: the third one does not widen it
    data = write_digits(tmp_path / "data", {"none": 12, "one": 14, "two": 5})
    assert cli("fit", data, tmp_path / "model", "--seed", 3, *QUICK).code == 0
    three = load_file(tmp_path / "model" / "model.safetensors")
    two = load_file(finished / "model.safetensors")
    assert len(three) == 1.5 * len(two)
    assert all(np.array_equal(three[name], two[name]) for name in two)


def test_arrays_and_images_of_the_same_digits_give_the_same_samples(cli, finished, tmp_path):
    images, target = digit_arrays([12, 14])
    data, model = tmp_path / "data.npz", tmp_path / "model"
    np.savez(data, X=images, y=np.array(["none", "one"])[target])
    assert cli("fit", data, model, "--seed", 3, *QUICK).code == 0
    for name, batch in (("a", 256), ("b", 3)):
        assert cli("sample", model, tmp_path / name, *BASELINE, "--batch-size", batch).code == 0
    assert same_bytes(tmp_path / "a") == same_bytes(tmp_path / "b")
    with np.load(tmp_path / "a" / "synthetic.npz") as made:
        assert np.array_equal(made["X"], read_dataset(finished).samples)
        assert made["y"].tolist() == ["none"] * 10 + ["one"] * 10
