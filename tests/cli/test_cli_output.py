import csv
import json
import re

import numpy as np
import pytest
from cli_runs import (
    CONTROL,
    QUICK,
    digit_arrays,
    everything_in,
    leftovers,
    read_image_folder,
    read_log,
    write_digits,
)
from PIL import Image

import riemaug
from riemaug.data import read_dataset, read_manifest

TOP_FILES = {
    "metadata.csv",
    "manifest.csv",
    "report.html",
    "model.safetensors",
    "model.json",
    "run.json",
    "run.log",
    "MODEL_CARD.md",
}
MANIFEST_HEADER = (
    "file,class,seed,start,log_density,acceptance,nearest_file,nearest_distance,copy,model_hash,version"
)


def test_out_holds_class_folders_and_eight_files_and_nothing_else(finished):
    entries = list(finished.iterdir())
    assert {path.name for path in entries if path.is_dir()} == {"none", "one"}
    assert {path.name for path in entries if path.is_file()} == TOP_FILES
    assert leftovers(finished) == []


def test_a_reader_of_image_folders_takes_it(finished):
    classes, samples = read_image_folder(finished)
    assert classes == ["none", "one"]
    assert [index for _, index in samples] == [0] * 10 + [1] * 10
    for path, _ in samples:
        with Image.open(path) as image:
            assert (image.format, image.mode, image.size) == ("PNG", "L", (8, 8))
            assert np.asarray(image).dtype == np.uint8
    assert [path.name for path, _ in samples[:2]] == ["none-000001.png", "none-000002.png"]


def test_the_images_are_of_the_values_of_the_data_and_not_all_alike(finished):
    made = read_dataset(finished)
    assert made.samples.min() >= 0
    assert made.samples.max() <= 255
    assert len({sample.tobytes() for sample in made.samples}) > 10


def test_metadata_names_every_image_with_its_label(finished):
    with (finished / "metadata.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["file_name", "label", "synthetic"]
    _, samples = read_image_folder(finished)
    assert {row["file_name"] for row in rows} == {
        path.relative_to(finished).as_posix() for path, _ in samples
    }
    assert all(row["file_name"].split("/")[0] == row["label"] for row in rows)
    assert {row["synthetic"] for row in rows} == {"true"}


def test_the_manifest_has_a_row_a_file(finished, digits):
    assert (finished / "manifest.csv").read_text().splitlines()[0] == MANIFEST_HEADER
    rows = read_manifest(finished / "manifest.csv")
    _, samples = read_image_folder(finished)
    assert sorted(row.file for row in rows) == [path.relative_to(finished).as_posix() for path, _ in samples]
    for row in rows:
        assert (row.seed, row.version) == (3, riemaug.__version__)
        assert (digits / row.start).is_file()
        assert row.start.startswith(f"{row.class_name}/")
        assert (digits / row.nearest_file).is_file()
        assert row.nearest_distance is not None
        assert row.nearest_distance >= 0
        assert row.copy in ("no", "near", "exact")
        assert row.acceptance is not None
        assert 0 < row.acceptance <= 1
        assert row.log_density is not None


def test_the_nearest_file_of_the_manifest_is_the_nearest(finished, digits):
    real, made = read_dataset(digits), read_dataset(finished)
    flat = real.samples.reshape(len(real.samples), -1).astype(float)
    by_file = dict(zip(made.names, made.samples, strict=True))
    scale = float(real.samples.max()) - float(real.samples.min())
    for row in read_manifest(finished / "manifest.csv"):
        gaps = np.linalg.norm(flat - by_file[row.file].reshape(-1), axis=1) / scale
        stated = gaps[real.names.index(row.nearest_file)]
        # the manifest compares before rounding to 256 grey levels
        assert stated <= gaps.min() + 0.05
        assert row.nearest_distance == pytest.approx(stated, abs=0.05)


def test_run_json_tells_what_was_done(finished, digits):
    run = json.loads((finished / "run.json").read_text())
    assert run["request"]["generator"]["seed"] == 3
    assert run["request"]["command"].startswith("riemaug augment ")
    assert [entry["class"] for entry in run["classes"]] == ["none", "one"]
    assert [entry["synthetic"] for entry in run["classes"]] == [10, 10]
    assert all(entry["epochs"] == 15 for entry in run["classes"])
    assert run["data"]["sha256"] == read_dataset(digits).fingerprint()
    assert run["environment"]["riemaug"] == riemaug.__version__


def test_report_and_log_name_the_classes(finished):
    report = (finished / "report.html").read_text()
    told = {record["class"]: record for record in read_log(finished) if "epochs" in record["fields"]}
    for name in ("none", "one"):
        assert name in report
        assert told[name]["fields"]["epochs"] == 15
        assert "reached max_epochs = 15" in told[name]["message"]


def test_inspect_data(cli, digits):
    done = cli("inspect", digits, "--json")
    assert done.code == 0
    assert done.document["kind"] == "data set"
    assert done.document["samples"] == 26
    assert done.document["classes"] == [{"class": "none", "samples": 12}, {"class": "one", "samples": 14}]
    spoken = cli("inspect", digits).out
    assert "class none, samples 12" in spoken
    assert "shape: 8x8" in spoken


def test_inspect_a_model(cli, finished, tmp_path):
    model = tmp_path / "model"
    model.mkdir()
    for name in ("model.safetensors", "model.json"):
        (model / name).write_bytes((finished / name).read_bytes())
    done = cli("inspect", model, "--json")
    assert done.document["kind"] == "model"
    assert [entry["class"] for entry in done.document["classes"]] == ["none", "one"]
    assert [entry["trained on"] for entry in done.document["classes"]] == [12, 14]
    assert done.document["made by"] == f"riemaug {riemaug.__version__}"
    assert "reveals:" in cli("inspect", model).out


def test_inspect_an_output(cli, finished):
    done = cli("inspect", finished, "--json")
    assert done.document["kind"] == "output"
    assert done.document["samples"] == 20
    assert done.document["seeds"] == [3]
    assert sum(done.document["copies"].values()) == 20
    # a path is never cut in two by the width of a terminal that is not there
    assert f"report: {finished / 'report.html'}\n" in cli("inspect", finished).out


def test_inspect_takes_the_options_that_its_refusals_name(cli, tmp_path):
    data = write_digits(tmp_path / "data", {"a": 3, "b": 3})
    Image.fromarray(np.arange(81, dtype=np.uint8).reshape(9, 9)).save(data / "a" / "larger.png")
    refused = cli("inspect", data)
    assert refused.code == 2
    for option in ("--pad", "--crop"):
        assert option in refused.message
        assert cli("inspect", data, option).code == 0
    assert cli("inspect", data, "--resize", "8x8", "--json").document["shape"] == "8x8"


def test_quiet_prints_nothing(cli, digits, tmp_path):
    done = cli("augment", digits, tmp_path / "out", "--quiet", "--model", "vae", "--per-class", 2, *QUICK)
    assert (done.code, done.out, done.err) == (0, "", "")
    assert (tmp_path / "out" / "report.html").is_file()


def test_json_prints_one_document(cli, digits, tmp_path):
    out = tmp_path / "out"
    done = cli("augment", digits, out, "--json", "--model", "vae", "--per-class", 2, *QUICK)
    assert done.code == 0
    assert done.document["out"] == str(out)
    assert done.document["samples"] == 4
    assert [entry["class"] for entry in done.document["classes"]] == ["none", "one"]
    again = cli("augment", digits, out, "--json", "--model", "vae", "--per-class", 2, *QUICK, "--resume")
    assert again.document["already_done"] is True
    fitted = cli("fit", digits, tmp_path / "model", "--json", "--model", "vae", *QUICK)
    assert fitted.document["samples"] == 0
    drawn = cli("sample", tmp_path / "model", tmp_path / "drawn", "--json", "--per-class", 3)
    assert drawn.document["samples"] == 6
    for folder in (out, tmp_path / "model", tmp_path / "drawn"):
        json.loads((folder / "run.json").read_text(), parse_constant=pytest.fail)


def test_without_a_terminal_the_text_is_plain_and_unwrapped(cli, digits, tmp_path):
    out = tmp_path / ("long " * 20).strip() / "out"
    done = cli("augment", digits, out, "--model", "vae", "--per-class", 2, *QUICK)
    assert done.code == 0
    assert done.out == ""
    assert not CONTROL.search(done.err)
    assert f"look at {out / 'report.html'}\n" in done.err
    assert re.search(r"done 4 new samples in .*, \d+ s\n", done.err)


def test_a_class_name_is_no_markup_of_the_terminal(cli, tmp_path):
    name = "red [bold]x[red]"
    data = write_digits(tmp_path / "data", {name: 3, "plain": 3})
    for arguments in (["inspect", data], ["augment", data, tmp_path / "out", "--dry-run"]):
        done = cli(*arguments)
        assert done.code == 0
        assert name in done.out + done.err


def test_a_class_name_that_would_steer_the_terminal_is_refused_and_told_without_doing_so(cli, tmp_path):
    data = write_digits(tmp_path / "data", {"red\x1b[31m": 3, "plain": 3})
    for arguments in (["inspect", data], ["augment", data, tmp_path / "out", "--dry-run"]):
        done = cli(*arguments)
        assert done.code == 2
        assert "\x1b" not in done.out + done.err
        assert r"'red\x1b[31m'" in done.err


def test_dry_run_does_nothing_and_tells_classes_and_cost(cli, digits, tmp_path):
    before = everything_in(digits)
    done = cli("augment", digits, tmp_path / "out", "--dry-run", "--factor", 3)
    assert (done.code, done.out) == (0, "")
    assert "26 samples of 8x8 uint8 in 2 classes" in done.err
    assert "52 new samples" in done.err
    assert re.search(r"about \d+ (s|min)", done.err)
    assert re.search(r"[\d.]+ [MG]B of memory", done.err)
    assert re.search(r"one\W+14\W+28", done.err)
    fields = cli("augment", digits, tmp_path / "out", "--dry-run", "--factor", 3, "--json").document
    assert fields["classes"] == {"none": {"real": 12, "new": 24}, "one": {"real": 14, "new": 28}}
    assert fields["seconds"] > 0
    assert fields["memory_bytes"] > 1e8
    # a file takes a block of the disk, however small the picture
    assert fields["disk_bytes"] >= 52 * 4096
    assert cli("fit", digits, tmp_path / "out", "--dry-run").code == 0
    assert list(tmp_path.iterdir()) == []
    assert everything_in(digits) == before


def test_a_dry_run_refuses_what_the_run_would_refuse(cli, digits, tmp_path):
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "thesis.tex").write_text("x")
    for arguments in ([tmp_path / "used"], [tmp_path / "new", "--model", "vae", "--sampler", "mixture"]):
        real = cli("augment", digits, *arguments)
        dry = cli("augment", digits, *arguments, "--dry-run")
        assert dry.code == 2
        assert dry.message == real.message


def test_arrays_come_back_as_arrays(cli, tmp_path):
    images, target = digit_arrays([12, 9])
    labels = np.array(["zero", "one"])[target]
    np.savez(tmp_path / "data.npz", images=images, labels=labels)
    out = tmp_path / "out"
    options = ["--per-class", 7, "--batch-size", 3, "--model", "vae", *QUICK]
    done = cli("augment", tmp_path / "data.npz", out, *options)
    assert done.code == 0
    assert {path.name for path in out.iterdir()} == (TOP_FILES - {"metadata.csv"}) | {"synthetic.npz"}
    with np.load(out / "synthetic.npz", allow_pickle=False) as made:
        assert sorted(made.files) == ["images", "labels"]
        assert (made["images"].dtype, made["images"].shape) == (np.uint8, (14, 8, 8))
        assert made["labels"].dtype == labels.dtype
        assert made["labels"].tolist() == ["one"] * 7 + ["zero"] * 7
    rows = read_manifest(out / "manifest.csv")
    assert [row.file for row in rows] == [f"row {number}" for number in range(14)]
    assert [row.class_name for row in rows] == ["one"] * 7 + ["zero"] * 7
    assert read_dataset(out / "synthetic.npz").counts == (7, 7)
    assert cli("inspect", out, "--json").document["samples"] == 14


def test_a_table_comes_back_as_a_table(cli, tmp_path):
    images, target = digit_arrays([12, 9])
    table = images.reshape(len(images), -1)[:, 8:24].astype(np.float32)
    np.savez(tmp_path / "table.npz", X=table, y=target.astype(np.int16))
    out = tmp_path / "out"
    assert cli("augment", tmp_path / "table.npz", out, "--balance", *QUICK).code == 0
    with np.load(out / "synthetic.npz", allow_pickle=False) as made:
        assert (made["X"].dtype, made["X"].shape) == (np.float32, (3, 16))
        assert (made["y"].dtype, made["y"].tolist()) == (np.int16, [1, 1, 1])
        assert np.isfinite(made["X"]).all()
        assert (made["X"] >= table.min(0)).all()
        assert (made["X"] <= table.max(0)).all()


@pytest.mark.parametrize(("mode", "name"), [("RGB", "colour"), ("I;16", "deep")])
def test_mode_and_depth_are_those_of_the_input(cli, tmp_path, mode, name):
    data = tmp_path / name
    for digit, pixels in enumerate(digit_arrays([6, 6])[0]):
        folder = data / ("ab"[digit // 6])
        folder.mkdir(parents=True, exist_ok=True)
        if mode == "RGB":
            image = Image.fromarray(np.stack([pixels, pixels[::-1], 255 - pixels], axis=-1))
        else:
            image = Image.fromarray(pixels.astype(np.uint16) * 257)
        image.save(folder / f"{digit}.png")
    out = tmp_path / "out"
    assert cli("augment", data, out, "--model", "vae", "--per-class", 3, *QUICK).code == 0
    for path in out.glob("*/*.png"):
        with Image.open(path) as image:
            assert (image.mode, image.size) == (mode, (8, 8))
    made = read_dataset(out)
    assert made.samples.dtype == (np.uint16 if mode == "I;16" else np.uint8)
    if mode == "I;16":
        assert made.samples.max() > 255
