"""Same seed, same bytes: whatever the jobs, the batches, the command, the other classes."""

import numpy as np
import pytest
from cli_runs import QUICK, digit_arrays, run_for_real, same_bytes, write_digits

BASELINE = ("--per-class", 10, "--seed", 3)


@pytest.mark.parametrize("batch_size", [1, 7])
def test_the_sampling_batch_changes_no_byte(cli, digits, finished, tmp_path, batch_size):
    out = tmp_path / "out"
    assert cli("augment", digits, out, *BASELINE, *QUICK, "--batch-size", batch_size, "-q").code == 0
    assert len(same_bytes(out)) == 23
    assert same_bytes(out) == same_bytes(finished)


def test_two_jobs_change_no_byte(digits, finished, tmp_path):
    out = tmp_path / "out"
    options = [*BASELINE, "--max-epochs", 15, "--jobs", 2]
    assert run_for_real("augment", digits, out, *options).code == 0
    assert same_bytes(out) == same_bytes(finished)


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["walk", "walk-paper", "prior", "mixture"])
def test_jobs_and_batches_change_no_byte_of_any_sampler(cli, digits, finished, tmp_path, sampler):
    options = ["--per-class", 300, "--seed", 5, "--sampler", sampler]
    for name, run in (("a", [1, 256]), ("b", [2, 7])):
        jobs = ["--jobs", run[0], "--batch-size", run[1]]
        assert cli("sample", finished, tmp_path / name, *options, *jobs).code == 0
    assert len(same_bytes(tmp_path / "a")) == 602
    assert same_bytes(tmp_path / "a") == same_bytes(tmp_path / "b")


def test_another_seed_gives_other_samples_and_another_model(cli, digits, finished, tmp_path):
    out = tmp_path / "out"
    assert cli("augment", digits, out, "--per-class", 10, "--seed", 4, *QUICK, "-q").code == 0
    ours, theirs = same_bytes(out), same_bytes(finished)
    assert ours.keys() == theirs.keys()
    unchanged = [name for name in ours if name.endswith(".png") and ours[name] == theirs[name]]
    assert len(unchanged) <= 2
    assert ours["model.safetensors"] != theirs["model.safetensors"]


def test_another_seed_of_sample_gives_other_draws_of_the_same_model(cli, finished, tmp_path):
    for name, seed in (("a", 3), ("b", 4)):
        done = cli("sample", finished, tmp_path / name, "--per-class", 10, "--seed", seed)
        assert done.code == 0
    first, second = same_bytes(tmp_path / "a"), same_bytes(tmp_path / "b")
    assert sum(first[name] == second[name] for name in first if name.endswith(".png")) <= 2


def test_fit_and_sample_equal_augment(cli, digits, finished, tmp_path):
    model, out = tmp_path / "model", tmp_path / "out"
    assert cli("fit", digits, model, "--seed", 3, *QUICK).code == 0
    assert {path.name for path in model.iterdir()} == {"model.safetensors", "model.json", "run.json"}
    assert cli("sample", model, out, *BASELINE, "--batch-size", 4).code == 0
    names = {"metadata.csv", "manifest.csv", "run.json", "none", "one"}
    assert {path.name for path in out.iterdir()} == names
    wanted = same_bytes(finished)
    made = same_bytes(out)
    images = [name for name in wanted if name.endswith(".png")]
    assert {name: made[name] for name in images} == {name: wanted[name] for name in images}
    assert same_bytes(model)["model.safetensors"] == wanted["model.safetensors"]


def test_more_samples_begin_with_the_fewer(cli, finished, tmp_path):
    assert cli("sample", finished, tmp_path / "more", "--per-class", 300, "--seed", 3).code == 0
    more, fewer = same_bytes(tmp_path / "more"), same_bytes(finished)
    images = [name for name in fewer if name.endswith(".png")]
    assert {name: more[name] for name in images} == {name: fewer[name] for name in images}


def test_a_class_trains_alike_whatever_other_classes_there_are(cli, digits, finished, tmp_path):
    data = write_digits(tmp_path / "data", {"none": 12, "one": 14, "two": 5})
    # the range of all classes is the scale of each: the third class must not change it
    assert cli("augment", data, tmp_path / "out", *BASELINE, *QUICK, "-q").code == 0
    both, two = same_bytes(tmp_path / "out"), same_bytes(finished)
    assert all(both[name] == two[name] for name in two if name.startswith(("none/", "one/")))


def test_arrays_and_images_of_the_same_digits_give_the_same_samples(cli, finished, tmp_path):
    images, target = digit_arrays([12, 14])
    np.savez(tmp_path / "data.npz", X=images, y=np.array(["none", "one"])[target])
    for name, batch in (("a", 256), ("b", 3)):
        done = cli(
            "augment", tmp_path / "data.npz", tmp_path / name, *BASELINE, *QUICK, "--batch-size", batch
        )
        assert done.code == 0
    assert same_bytes(tmp_path / "a") == same_bytes(tmp_path / "b")
    from riemaug.data import read_dataset

    with np.load(tmp_path / "a" / "synthetic.npz") as made:
        assert np.array_equal(made["X"], read_dataset(finished).samples)
