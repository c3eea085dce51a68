"""`riemaug sample --shards`: each kind is read by its own reader and holds what is written without shards."""

import gzip
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from cli_runs import QUICK, digit_arrays, leftovers, run_for_real, write_digits

import riemaug.run.segments
import riemaug.run.sinks
from riemaug.data import SampleFormat, read_dataset
from riemaug.data.manifest_files import find_manifest, manifest_rows
from riemaug.errors import InvalidInputError
from riemaug.run.evaluation_data import read_synthetic
from riemaug.run.request import ReadOptions
from riemaug.run.samples_hash import samples_hash
from riemaug.run.shard_samples import member_of_tar

VAE_OF_FEW = ("--model", "vae", "--max-epochs", 3, "--per-class", 2)
AMOUNT = ("--per-class", 10, "--seed", 3)


def all_bytes(out: Path) -> dict[str, bytes]:
    """Return the bytes of all samples and tables."""
    names = [path for path in out.rglob("*") if path.is_file() and path.name not in ("run.json", "run.log")]
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in names}


def told(out: Path) -> list[tuple[object, ...]]:
    """Return what a manifest says beside where each sample lies."""
    manifest = find_manifest(out)
    assert manifest is not None
    return [(row.class_name, row.start, row.log_density, row.acceptance) for row in manifest_rows(manifest)]


@pytest.fixture(scope="module")
def plain(finished: Path) -> tuple[np.ndarray, list[str]]:
    """The samples in class folders, with their labels."""
    data = read_dataset(finished)
    return data.samples, [data.class_names[label] for label in data.labels]


def test_npz(cli, finished, plain, tmp_path):
    out = tmp_path / "out"
    assert cli("sample", finished, out, *AMOUNT, "--shards", "npz", "--shard-size", 4).code == 0
    paths = sorted((out / "shards").iterdir())
    assert [path.name for path in paths] == [
        f"{name}-{n:06d}.npz" for name in ("none", "one") for n in (1, 2, 3)
    ]
    parts = [np.load(path, allow_pickle=False) for path in paths]
    assert np.array_equal(np.concatenate([part["images"] for part in parts]), plain[0])
    assert np.concatenate([part["labels"] for part in parts]).tolist() == plain[1]
    assert told(out) == told(finished)
    rows = list(manifest_rows(out / "manifest.csv"))
    assert [row.file for row in rows][3:6] == [
        "shards/none-000001.npz#3",
        "shards/none-000002.npz#0",
        "shards/none-000002.npz#1",
    ]
    assert not (out / "metadata.csv").exists()
    assert leftovers(out) == []


# its reader leaves the file of a shard to the garbage collector
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_webdataset(cli, finished, plain, tmp_path):
    wds = pytest.importorskip("webdataset")
    out = tmp_path / "out"
    assert cli("sample", finished, out, *AMOUNT, "--shards", "webdataset", "--shard-size", 6).code == 0
    urls = [str(path) for path in sorted((out / "shards").iterdir())]
    assert [Path(url).name for url in urls] == [
        f"{name}-00000{n}.tar" for name in ("none", "one") for n in (1, 2)
    ]
    data = wds.WebDataset(urls, shardshuffle=False, empty_check=False).decode("l8")
    samples = list(data.to_tuple("png", "cls", "json"))
    assert np.array_equal(np.stack([picture for picture, *_ in samples]), plain[0])
    assert [label for _, label, _ in samples] == [0] * 10 + [1] * 10
    assert [about["label"] for *_, about in samples] == plain[1]
    assert told(out) == told(finished)


def test_zarr(cli, finished, plain, tmp_path):
    zarr = pytest.importorskip("zarr")
    out = tmp_path / "out"
    assert cli("sample", finished, out, *AMOUNT, "--shards", "zarr").code == 0
    store = zarr.open_group(out / "synthetic.zarr", mode="r")
    assert store.metadata.zarr_format == 3
    assert np.array_equal(store["images"][:], plain[0])
    assert [store.attrs["class_names"][label] for label in store["labels"][:]] == plain[1]
    assert store["images"].chunks == (1, *plain[0].shape[1:])
    assert leftovers(out) == []


def test_parquet_of_a_table(cli, tmp_path):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    draw = np.random.default_rng(0)
    frame = pandas.DataFrame({"a": draw.normal(size=30), "b": draw.normal(size=30), "label": ["x", "y"] * 15})
    frame.to_csv(tmp_path / "data.csv", index=False)
    assert cli("fit", tmp_path / "data.csv", tmp_path / "model", "--max-epochs", 3, "-q").code == 0
    whole, out = tmp_path / "whole", tmp_path / "out"
    assert cli("sample", tmp_path / "model", whole, *AMOUNT).code == 0
    options = ["--shards", "parquet", "--shard-size", 4]
    assert cli("sample", tmp_path / "model", out, *AMOUNT, *options).code == 0
    assert len(list((out / "shards").iterdir())) == 6
    found = pandas.read_parquet(out / "shards")
    pandas.testing.assert_frame_equal(found, pandas.read_csv(whole / "synthetic.csv"), check_dtype=False)
    real = read_dataset(tmp_path / "data.csv")
    files, shards = (read_synthetic(made, ReadOptions(), real.format).data for made in (whole, out))
    assert np.allclose(shards.samples, files.samples, rtol=1e-12)  # a CSV file has 17 digits
    assert np.array_equal(shards.labels, files.labels)
    assert shards.names[4] == "shards/x-000002.parquet#0"
    (out / "shards" / "x-000002.parquet").unlink()
    with pytest.raises(InvalidInputError, match=r"'shards/x-000002\.parquet'"):
        read_synthetic(out, ReadOptions(), real.format)
    refused = cli("sample", tmp_path / "model", tmp_path / "no", *AMOUNT, "--shards", "npz")
    assert refused.code == 2
    assert "use parquet" in refused.message
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize("kind", ["npz", "webdataset", "zarr", None])
def test_a_stopped_run_goes_on_after_its_last_stretch(cli, finished, tmp_path, monkeypatch, kind):
    options = [*AMOUNT, *(["--shards", kind, "--shard-size", 4] if kind else [])]
    whole, out = tmp_path / "whole", tmp_path / "out"
    monkeypatch.setattr(riemaug.run.segments, "STRETCH_SAMPLES", 4)
    assert cli("sample", finished, whole, *options, "--batch-size", 256).code == 0
    ended = []
    kinds = {"npz": "RowShards", "webdataset": "TarShards", "zarr": "ZarrSink", None: "FileSink"}
    sink = getattr(riemaug.run.sinks, kinds[kind])
    end = sink.end

    def stop_in_the_fifth(self: object) -> None:
        ended.append(self)
        if len(ended) == 5:
            raise KeyboardInterrupt
        end(self)

    with monkeypatch.context() as patch:
        patch.setattr(sink, "end", stop_in_the_fifth)
        assert cli("sample", finished, out, *options, "--batch-size", 3).code == 130
    assert not (out / "synthetic.zarr").exists()
    again = []
    monkeypatch.setattr(sink, "end", lambda self: (again.append(self), end(self))[1])
    assert cli("sample", finished, out, *options, "--batch-size", 3, "--resume").code == 0
    assert len(again) == 2  # of six stretches four were done
    assert all_bytes(out) == all_bytes(whole)
    assert leftovers(out) == []


@pytest.mark.slow
def test_jobs_change_no_byte_of_shards(cli, finished, tmp_path):
    options = [*AMOUNT, "--shards", "webdataset", "--shard-size", 4]
    assert cli("sample", finished, tmp_path / "one", *options).code == 0
    done = run_for_real("sample", finished, tmp_path / "two", *options, "--jobs", 2, "--batch-size", 1)
    assert done.code == 0
    assert all_bytes(tmp_path / "one") == all_bytes(tmp_path / "two")


def test_an_augmentation_in_shards(cli, digits, plain, tmp_path):
    out, shards = tmp_path / "out", ("--shards", "npz", "--shard-size", 4)
    assert cli("augment", digits, out, *AMOUNT, *QUICK, *shards).code == 0
    parts = [np.load(path, allow_pickle=False) for path in sorted((out / "shards").iterdir())]
    assert np.array_equal(np.concatenate([part["images"] for part in parts]), plain[0])
    assert np.concatenate([part["labels"] for part in parts]).tolist() == plain[1]
    assert {path.name for path in out.iterdir() if path.is_dir()} == {"shards"}
    assert (out / "report.html").is_file()
    assert leftovers(out) == []
    refused = cli("augment", digits, tmp_path / "no", *shards, "--include-real", "copy")
    assert "leave one of the two out" in refused.message
    assert (
        "use npz, webdataset or zarr"
        in cli("augment", digits, tmp_path / "no", "--shards", "parquet").message
    )
    assert not (tmp_path / "no").exists()


@pytest.mark.slow
def test_augmentations_of_one_file_in_shards(cli, tmp_path):
    zarr, pandas = pytest.importorskip("zarr"), pytest.importorskip("pandas")
    X, y = digit_arrays([8, 8])
    np.savez(tmp_path / "data.npz", X=X, y=np.array([30, 50])[y])
    table = pandas.DataFrame(X.reshape(16, -1)[:, 18:24]).add_prefix("c")
    table.assign(label=np.array(["a", "b"])[y]).to_csv(tmp_path / "data.csv", index=False)
    for data in ("data.npz", "data.csv"):
        assert cli("augment", tmp_path / data, tmp_path / f"{data}-plain", *VAE_OF_FEW).code == 0
    with np.load(tmp_path / "data.npz-plain" / "synthetic.npz") as arrays:
        wanted, labels = arrays["X"], arrays["y"]
    for kind in ("npz", "zarr"):
        assert cli("augment", tmp_path / "data.npz", tmp_path / kind, *VAE_OF_FEW, "--shards", kind).code == 0
    parts = [np.load(path) for path in sorted((tmp_path / "npz" / "shards").iterdir())]
    assert np.array_equal(np.concatenate([part["X"] for part in parts]), wanted)
    assert np.array_equal(np.concatenate([part["y"] for part in parts]), labels)
    store = zarr.open_group(tmp_path / "zarr" / "synthetic.zarr", mode="r")
    assert np.array_equal(store["X"][:], wanted)
    out = tmp_path / "parquet"
    assert cli("augment", tmp_path / "data.csv", out, *VAE_OF_FEW, "--shards", "parquet").code == 0
    plain_table = pandas.read_csv(tmp_path / "data.csv-plain" / "synthetic.csv")
    found = pandas.read_parquet(out / "shards")
    pandas.testing.assert_frame_equal(found, plain_table, check_dtype=False)
    assert (out / "report.html").is_file()


def test_options_in_a_file_and_the_report_of_shards(cli, finished, digits, tmp_path):
    (tmp_path / "options.toml").write_text('shards = "npz"\nshard-size = 5\n')
    out = tmp_path / "out"
    assert cli("sample", finished, out, *AMOUNT, "--config", tmp_path / "options.toml").code == 0
    assert len(list((out / "shards").iterdir())) == 4
    assert cli("report", out, "--model", finished, "--real", digits).code == 0
    assert (out / "report.html").is_file()
    told_of = json.loads(cli("inspect", out, "--json").out)
    assert told_of["samples"] == 20
    refused = cli("sample", finished, out, *AMOUNT, "--shards", "npz", "--shard-size", 6, "--resume")
    assert "--shard-size (it was 5, now 6)" in refused.message


@pytest.mark.parametrize("kind", ["npz", "webdataset", "zarr"])
def test_an_evaluation_reads_shards(cli, finished, digits, tmp_path, monkeypatch, kind):
    out = tmp_path / "out"
    assert cli("sample", finished, out, *AMOUNT, "--shards", kind, "--shard-size", 4).code == 0
    options = ["--no-gain", "--no-fidelity", "--json"]
    of_shards, of_files = (cli("evaluate", digits, made, *options).document for made in (out, finished))
    for item in (*of_shards["copying"], *of_files["copying"]):
        del item["seconds"]
    assert of_shards["copying"] == of_files["copying"]
    real = read_dataset(digits)
    files, held = (read_synthetic(made, ReadOptions(), real.format).data for made in (finished, out))
    monkeypatch.setattr("riemaug.data.scratch.MOST_IN_MEMORY", 0)
    mapped = read_synthetic(out, ReadOptions(), real.format).data
    for data in (held, mapped):
        assert np.array_equal(data.samples, files.samples)
        assert np.array_equal(data.labels, files.labels)
        assert data.class_names == files.class_names
    assert not mapped.samples.flags.writeable


@pytest.mark.parametrize("kind", ["npz", "webdataset"])
def test_an_evaluation_names_the_shard_that_is_no_longer_as_it_was(cli, finished, digits, tmp_path, kind):
    out = tmp_path / "out"
    assert cli("sample", finished, out, *AMOUNT, "--shards", kind, "--shard-size", 4).code == 0
    shards = sorted((out / "shards").iterdir())
    shards[1].write_bytes(shards[2].read_bytes()[:-2000])
    done = cli("evaluate", digits, out, "--no-gain", "--no-fidelity")
    assert done.code == 2
    assert "are needed as they were written, 'shards/none-000002" in done.message


@pytest.mark.parametrize(
    "change", [lambda x: x.astype("uint16") * 300, lambda x: x.astype("float32") + np.nan]
)
def test_samples_of_another_kind_are_not_made_to_fit(cli, finished, digits, tmp_path, change):
    out = tmp_path / "out"
    assert cli("sample", finished, out, *AMOUNT, "--shards", "npz", "--shard-size", 4).code == 0
    for path in (out / "shards").iterdir():
        with np.load(path) as shard:
            images, labels = change(shard["images"]), shard["labels"]
        np.savez_compressed(path, images=images, labels=labels)
    done = cli("evaluate", digits, out, "--no-gain", "--no-fidelity")
    assert done.code == 2
    assert "are needed as they were written, 'shards/none-000001.npz#0'" in done.message


def test_the_limit_of_a_shard_is_an_option(cli, finished, digits, tmp_path):
    out, options = tmp_path / "out", ("--no-gain", "--no-fidelity", "--limit")
    assert cli("sample", finished, out, *AMOUNT, "--shards", "npz").code == 0
    refused = cli("evaluate", digits, out, *options, "bytes=100")
    assert refused.code == 2
    assert "--limit bytes=" in refused.message
    assert cli("evaluate", digits, out, *options, "bytes=10k").code == 0


def test_a_tar_header_that_says_it_takes_gigabytes_is_not_read(tmp_path):
    shard = tmp_path / "a-000001.tar"
    header = tarfile.TarInfo("huge")
    header.type, header.size = tarfile.XHDTYPE, 6 * 2**30
    with shard.open("wb") as file:
        file.write(header.tobuf())
        file.truncate(7 * 2**30)  # takes no room on the disk
    fmt = SampleFormat("folder", (8, 8), "uint8", ".png", None, False)
    with pytest.raises(ValueError, match="header"):
        member_of_tar(shard, "a-000001.png", fmt)


def test_copies_are_dropped_from_shards(cli, finished, digits, tmp_path):
    options = [*AMOUNT, "--drop-copies", "--real", digits]
    assert cli("sample", finished, tmp_path / "files", *options).code == 0
    assert (
        cli("sample", finished, tmp_path / "shards", *options, "--shards", "npz", "--shard-size", 3).code == 0
    )
    files = read_dataset(tmp_path / "files")
    parts = [np.load(path)["images"] for path in sorted((tmp_path / "shards" / "shards").iterdir())]
    assert np.array_equal(np.concatenate(parts), files.samples)
    assert told(tmp_path / "shards") == told(tmp_path / "files")


def test_a_class_with_the_sign_of_shards_in_its_name(cli, tmp_path):
    data = write_digits(tmp_path / "data", {"C#": 3, "shards": 3})
    out = tmp_path / "out"
    assert cli("augment", data, out, *VAE_OF_FEW).code == 0
    assert cli("report", out, "--real", data).code == 0
    assert samples_hash(out) is not None
    assert len(read_synthetic(out, ReadOptions(), read_dataset(data).format).data.names) == 4
    for kind in ("npz", "webdataset", "zarr"):
        again = tmp_path / kind
        assert cli("sample", out, again, "--per-class", 3, "--shards", kind, "--shard-size", 2).code == 0
        assert cli("report", again, "--model", out, "--real", data).code == 0
        assert samples_hash(again) is not None


@pytest.mark.parametrize(
    "keys", [["images", "../../other"], ["images", "images"], ["images", ""], ["file", "y"]]
)
def test_a_model_whose_arrays_have_impossible_names_is_refused(cli, tmp_path, keys):
    generator = np.random.default_rng(0)
    np.savez(tmp_path / "data.npz", X=generator.random((8, 4, 4, 4)), y=np.repeat([0, 1], 4))
    model, other = tmp_path / "model", tmp_path / "other"
    assert cli("fit", tmp_path / "data.npz", model, *VAE_OF_FEW[:-2]).code == 0
    other.mkdir()
    description = json.loads((model / "model.json").read_text())
    description["sample_format"]["array_keys"] = keys
    (model / "model.json").write_text(json.dumps(description))
    refused = cli("sample", model, tmp_path / "out", "--per-class", 2, "--shards", "zarr")
    assert refused.code == 2
    assert other.is_dir()
    assert not (tmp_path / "out").exists()


def test_a_shard_that_promises_more_than_its_samples_is_not_read(cli, finished, tmp_path):
    out = tmp_path / "out"
    assert cli("sample", finished, out, *AMOUNT, "--shards", "webdataset").code == 0
    shard = out / "shards" / "none-000001.tar"
    content = shard.read_bytes()
    shard.write_bytes(gzip.compress(content))
    assert cli("report", out, "--model", finished).code == 2
    shard.write_bytes(content)
    assert cli("report", out, "--model", finished).code == 0


@pytest.mark.parametrize("kind", ["npz", "webdataset", "zarr"])
def test_the_estimate_of_the_disk_knows_what_a_shard_takes(cli, finished, tmp_path, kind):
    options = ["--per-class", 300, "--seed", 3, "--shards", kind, "--shard-size", 100]
    told = json.loads(cli("sample", finished, tmp_path / "out", *options, "--dry-run", "--json").out)
    assert cli("sample", finished, tmp_path / "out", *options).code == 0
    places = [path for name in ("shards", "synthetic.zarr") for path in (tmp_path / "out" / name).rglob("*")]
    taken = sum(512 * path.stat().st_blocks for path in places if path.is_file())
    assert taken < told["disk_bytes"] < 6 * taken
