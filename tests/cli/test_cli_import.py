"""`riemaug import`: unmodified folders of pythae and pyraug are imported, sampled and inspected."""

from pathlib import Path

import numpy as np
import pytest
from cli_runs import read_image_folder
from PIL import Image

from riemaug.data import read_manifest

PEERS = Path(__file__).parents[1] / "fixtures" / "peers"
PYTHAE, PYRAUG = PEERS / "pythae_rhvae", PEERS / "pyraug_rhvae"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("imported")


def test_two_classes_are_imported_and_sampled_as_images(cli, tmp_path):
    model, out = tmp_path / "model", tmp_path / "out"
    done = cli("import", f"no={PYTHAE}", f"yes={PYRAUG}", model, "--as", "png", "--shape", "4x4")
    assert (done.code, done.out) == (0, "")
    assert "class no: rhvae of pythae, 40 centroids" in done.err
    assert "class yes: rhvae of pyraug, 40 centroids" in done.err
    assert cli("sample", model, out, "--per-class", 3, "--seed", 4).code == 0
    classes, samples = read_image_folder(out)
    assert (classes, len(samples)) == (["no", "yes"], 6)
    with Image.open(samples[0][0]) as image:
        assert (image.size, image.mode) == ((4, 4), "L")
    rows = read_manifest(out / "manifest.csv")
    assert all(row.start.startswith("centroid ") for row in rows)


@pytest.mark.parametrize("sampler", ["mixture", pytest.param("walk", marks=pytest.mark.slow), "hmc", "prior"])
def test_every_sampler_draws_from_an_imported_model(cli, place, sampler):
    if not (place / "model").exists():
        told = cli("import", PYTHAE, place / "model", "--json").document
        assert told["imported"][0]["class"] == "pythae_rhvae"
    out = place / sampler
    assert cli("sample", place / "model", out, "--per-class", 2, "--sampler", sampler).code == 0
    with np.load(out / "synthetic.npz") as arrays:
        samples, labels = arrays["X"], arrays["y"]
    assert (samples.shape, samples.dtype) == ((2, 1, 4, 4), np.float32)
    assert 0.0 <= samples.min() < samples.max() <= 1.0
    assert labels.tolist() == ["pythae_rhvae"] * 2


def test_amounts_that_go_by_real_samples_need_their_number(cli, tmp_path):
    assert cli("import", f"a={PEERS / 'pythae_vae'}", tmp_path / "model").code == 0
    for amount in ([], ["--balance"], ["--factor", 3]):
        refused = cli("sample", tmp_path / "model", tmp_path / "out", *amount)
        assert refused.code == 2
        assert "give --per-class" in refused.message
    assert not (tmp_path / "out").exists()
    refused = cli("sample", tmp_path / "model", tmp_path / "out", "--per-class", 1, "--sampler", "walk")
    assert "needs a learned metric" in refused.message


def test_inspect_tells_a_peers_folder_and_an_imported_model(cli, tmp_path):
    told = cli("inspect", PYRAUG, "--json").document
    assert (told["kind"], told["centroids"]) == ("model of pyraug", 40)
    assert "riemaug import" in told["to use it"]
    assert cli("import", f"a={PYRAUG}", tmp_path / "model", "--quiet").err == ""
    told = cli("inspect", tmp_path / "model", "--json").document
    assert told["classes"] == [{"class": "a", "trained on": 40, "training": "imported from pyraug"}]
    assert told["makes"] == "arrays of 16 float32"
    assert "no names of files" in told["reveals"]  # there are none to give away


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([f"a={PYTHAE}", f"a={PYRAUG}"], "each class has one model"),
        ([PYTHAE, PYRAUG], "--shape"),
        ([PEERS], "model_config.json"),
        ([PYTHAE, "--as", "pngs"], "did you mean png?"),
        ([PYTHAE, "--shape", "4by4"], "--shape takes HxW"),
        ([PYTHAE, "--shape", "5x5"], "16 values"),
        ([PYRAUG, "--as", "png"], "images need a shape"),
        ([f"../x={PYTHAE}"], "class name"),
    ],
)
def test_what_cannot_be_imported_is_refused(cli, tmp_path, arguments, told):
    refused = cli("import", *arguments, tmp_path / "model")
    assert refused.code == 2
    assert told in refused.message
    assert not (tmp_path / "model").exists()


def test_a_full_folder_is_refused(cli, tmp_path):
    (tmp_path / "mine.txt").write_text("kept")
    refused = cli("import", PYTHAE, tmp_path)
    assert refused.code == 2
    assert "OUT must be new or empty" in refused.message


def test_dry_run_of_sample_draws_nothing(cli, tmp_path):
    assert cli("import", f"a={PYTHAE}", tmp_path / "model").code == 0
    out = tmp_path / "out"
    told = cli("sample", tmp_path / "model", out, "--per-class", 1000, "--dry-run", "--json").document
    assert told["classes"] == {"a": {"new": 1000}}
    assert told["sampler"] == "mixture"
    assert told["seconds"] > 0
    assert told["memory_bytes"] > told["disk_bytes"] > 1000 * 16 * 4
    spoken = cli("sample", tmp_path / "model", out, "--per-class", 1000, "--dry-run")
    assert "1,000 new samples" in spoken.err
    assert "dry run: nothing was done" in spoken.err
    assert not out.exists()
