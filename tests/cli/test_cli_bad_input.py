"""Each mistake ends with code 2 and one line: the rule, what was found, the fix; and nothing is touched."""

import collections
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest
from cli_runs import (
    EXECUTABLE,
    QUICK,
    Command,
    Finished,
    digit_arrays,
    everything_in,
    run_for_real,
    write_digits,
)
from PIL import Image

from riemaug.serialization import FORMAT_VERSION


def save_arrays(path: Path, **changes: np.ndarray) -> Path:
    images, target = digit_arrays([4, 4])
    np.savez(path, **({"X": images, "y": target} | changes))
    return path


def empty_folder(root: Path) -> Path:
    (root / "data").mkdir()
    return root / "data"


def one_image_in_a_class(root: Path) -> Path:
    return write_digits(root / "data", {"many": 5, "lonely": 1})


def mixed_sizes(root: Path) -> Path:
    data = write_digits(root / "data", {"a": 4, "b": 4})
    Image.fromarray(np.arange(81, dtype=np.uint8).reshape(9, 9)).save(data / "a" / "z.png")
    return data


def truncated_png(root: Path) -> Path:
    data = write_digits(root / "data", {"a": 4, "b": 4})
    whole = (data / "a" / "scan-00.png").read_bytes()
    (data / "a" / "broken.png").write_bytes(whole[: len(whole) // 2])
    return data


def nan_in_arrays(root: Path) -> Path:
    images = digit_arrays([4, 4])[0].astype(np.float32)
    images[5, 2, 2] = np.nan
    return save_arrays(root / "data.npz", X=images)


def too_few_labels(root: Path) -> Path:
    return save_arrays(root / "data.npz", y=np.zeros(7, int))


def constant_class(root: Path) -> Path:
    data = write_digits(root / "data", {"a": 4, "b": 4})
    for path in (data / "b").iterdir():
        Image.fromarray(np.full((8, 8), 7, np.uint8)).save(path)
    return data


def split_folders(root: Path) -> Path:
    for part in ("train", "val", "test"):
        write_digits(root / "data" / part, {"a": 4, "b": 4})
    return root / "data"


def images_without_classes(root: Path) -> Path:
    return write_digits(root, {"data": 4}) / "data"


def a_text_file(root: Path) -> Path:
    (root / "data.txt").write_text("cat, dog")
    return root / "data.txt"


def a_python_object(root: Path) -> Path:
    np.savez(root / "data.npz", X=np.array([{}, {}], dtype=object), y=np.array([0, 1]))
    return root / "data.npz"


@pytest.mark.parametrize(
    ("make", "parts"),
    [
        (empty_folder, ["is empty", "one sub-folder of images per class"]),
        (lambda root: root / "missing", ["missing", "does not exist"]),
        (one_image_in_a_class, ["at least 2 images", "'lonely'"]),
        (mixed_sizes, ["one size", "--resize"]),
        (truncated_png, ["a/broken.png", "--skip-bad"]),
        (nan_in_arrays, ["NaN", "row 5"]),
        (too_few_labels, ["(7,)", "8 rows"]),
        (constant_class, ["'b'", "identical"]),
        (split_folders, ["'train'", "data/train"]),
        (images_without_classes, ["no class folders"]),
        (a_text_file, ["data.txt", "npz"]),
        (a_python_object, ["Python objects"]),
    ],
)
@pytest.mark.parametrize("command", ["augment", "fit"])
def test_bad_data(cli, tmp_path, command, make, parts):
    data, out = make(tmp_path), tmp_path / "out"
    refused = cli(command, data, out, *QUICK)
    assert refused.code == 2
    assert all(part in refused.message for part in parts), refused.message
    assert not out.exists()
    assert cli("inspect", data).code == 2


def test_the_way_out_that_a_refusal_names_is_one(cli, tmp_path):
    data = truncated_png(tmp_path)
    done = cli("augment", data, tmp_path / "out", "--skip-bad", "--model", "vae", *QUICK)
    assert done.code == 0
    assert "a/broken.png" in done.err
    for data in (mixed_sizes(tmp_path / "sizes"), split_folders(tmp_path / "splits") / "train"):
        options = ["--resize", "8x8", "--model", "vae", "--per-class", 1]
        assert cli("augment", data, data.parent / "out", *options, *QUICK).code == 0


OPTIONS = [
    (["--per-class", 3, "--balance"], ["--per-class", "--balance"]),
    (["--per-class", 3, "--factor", 2], ["--per-class", "--factor"]),
    (["--per-class", 0], ["--per-class", "0"]),
    (["--per-class", -3], ["--per-class", "-3"]),
    (["--per-class", 10**15], ["disk", "fewer"]),
    (["--factor", 0.5], ["--factor", "0.5"]),
    (["--factor", 1], ["--factor"]),
    (["--factor", "inf"], ["--factor", "finite"]),
    (["--factor", "nan"], ["--factor", "finite"]),
    (["--factor", 1e15], ["disk", "fewer"]),
    (["--resize", "10"], ["--resize", "HxW", "'10'"]),
    (["--resize", "0x10"], ["--resize", "HxW"]),
    (["--resize", "8x8", "--pad"], ["--resize", "--pad"]),
    (["--pad", "--crop"], ["--pad", "--crop"]),
    (["--sampler", "mcmc"], ["--sampler", "mixture", "walk-paper-code", "hmc", "prior", "'mcmc'"]),
    (["--preset", "best"], ["--preset", "paper", "'best'"]),
    (["--likelihood", "poisson"], ["--likelihood", "bernoulli", "gaussian"]),
    (["--model", "gan"], ["--model", "rhvae", "vae"]),
    (["--device", "tpu"], ["--device", "auto, cpu, cuda"]),
    (["--device", "cuda:"], ["--device", "auto, cpu, cuda"]),
    (["--engine", "locky"], ["--engine: engine must be loky,", "got 'locky'; did you mean loky?"]),
    (["--device", "gpu"], ["--device", "'gpu'; did you mean cuda?"]),
    (["--device", "Cpus"], ["--device", "'Cpus'; did you mean cpu?"]),
    (["--limit", "pixel=5M"], ["--limit", "'pixel=5M'; did you mean pixels?"]),
    (["--latent-dim", 0], ["--latent-dim"]),
    (["--bandwidth", -1], ["--bandwidth", "-1"]),
    (["--bandwidth", "inf"], ["--bandwidth", "finite"]),
    (["--bandwidth", "1e-300"], ["--bandwidth", "1e-300"]),
    (["--bandwidth", "1e300"], ["--bandwidth", "1e+300"]),
    (["--regularization", "1e-320"], ["--regularization", "1e-320"]),
    (["--regularization", 2], ["--regularization", "2"]),
    (["--max-epochs", 0], ["--max-epochs"]),
    (["--seed", -1], ["--seed", "-1"]),
    (["--jobs", 0], ["--jobs"]),
    (["--batch-size", 0], ["--batch-size"]),
    (["--inverse-temperature", 0], ["--inverse-temperature"]),
    (["--inverse-temperature", "inf"], ["--inverse-temperature", "finite"]),
    (["--include-real", "move"], ["--include-real", "copy", "link"]),
    (["--group-from", "("], ["--group-from", "regular expression"]),
    (["--sampler", "mixture", "--model", "vae"], ["mixture", "--model rhvae", "--sampler prior"]),
    (["--sampler", "prior", "--inverse-temperature", 2], ["prior", "inverse temperature"]),
    (["--model", "vae", "--inverse-temperature", 2], ["prior", "inverse temperature"]),
]


@pytest.mark.parametrize(("options", "parts"), OPTIONS, ids=[" ".join(map(str, o)) for o, _ in OPTIONS])
def test_bad_options(cli, digits, tmp_path, options, parts):
    refused = cli("augment", digits, tmp_path / "out", *options)
    assert refused.code == 2
    assert all(part in refused.message for part in parts), refused.message
    assert list(tmp_path.iterdir()) == []


def test_resize_is_not_for_arrays(cli, tmp_path):
    data = save_arrays(tmp_path / "data.npz")
    refused = cli("augment", data, tmp_path / "out", "--resize", "4x4")
    assert refused.code == 2
    assert "--resize" in refused.message
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(shutil.which("nvidia-smi") is not None, reason="there is CUDA here")
@pytest.mark.parametrize("device", ["cuda", "cuda:0"])
def test_cuda_without_cuda(cli, digits, tmp_path, device):
    refused = cli("augment", digits, tmp_path / "out", "--device", device)
    assert refused.code == 2
    assert f"--device {device}" in refused.message
    assert "--device cpu" in refused.message


class TestOut:
    def test_that_holds_something_else_is_left_as_it_is(self, cli, digits, finished, tmp_path):
        out = tmp_path / "out"
        out.mkdir()
        (out / "thesis.tex").write_text("years of work")
        before = everything_in(out)
        for command in (["augment", digits], ["fit", digits], ["sample", finished], ["demo"]):
            for resume in ([], ["--resume"]):
                refused = cli(*command, out, *resume)
                assert refused.code == 2
                assert "must be new or empty" in refused.message
        assert everything_in(out) == before

    def test_that_is_a_file(self, cli, digits, tmp_path):
        (tmp_path / "out").write_text("mine")
        refused = cli("augment", digits, tmp_path / "out")
        assert refused.code == 2
        assert "is a file" in refused.message
        assert (tmp_path / "out").read_text() == "mine"

    def test_inside_the_data(self, cli, digits):
        refused = cli("augment", digits, digits / "none" / "out")
        assert refused.code == 2
        assert "outside the data folder" in refused.message
        assert not (digits / "none" / "out").exists()

    def test_with_a_name_too_long(self, cli, digits, tmp_path):
        refused = cli("augment", digits, tmp_path / ("x" * 300))
        assert refused.code in (1, 2)
        assert "too long" in refused.message
        assert list(tmp_path.iterdir()) == []

    def test_that_is_the_finished_run_of_another_command(self, cli, digits, finished, tmp_path):
        before = everything_in(finished)
        for command in (["fit", digits], ["sample", finished]):
            refused = cli(*command, finished, "--resume")
            assert refused.code == 2
            assert "riemaug augment" in refused.message
        assert everything_in(finished) == before

    def test_not_writable(self, digits, finished, tmp_path_factory):
        if os.name != "posix":
            pytest.skip("needs POSIX permissions")
        folder = tmp_path_factory.mktemp("closed")
        (folder / "out").mkdir()
        (folder / "out").chmod(0o555)
        (folder / "locked").mkdir()
        (folder / "locked").chmod(0o000)
        closed = (folder / "out", folder / "out" / "new", folder / "locked" / "new")
        commands = [["augment", str(digits)], ["sample", str(finished)]]
        try:
            ended = run_unprivileged([[*command, str(out)] for out in closed for command in commands])
        finally:
            (folder / "locked").chmod(0o755)
        assert len(ended) == 6
        for refused in ended:
            assert refused.code == 2, refused
            assert "must be writable" in refused.message
            assert str(folder) in refused.message
        assert list((folder / "out").iterdir()) == []
        assert list((folder / "locked").iterdir()) == []


UNPRIVILEGED = """
import contextlib, ctypes, io, json, os, sys
import riemaug.cli.console, riemaug.run.pipeline
from riemaug.cli.main import main

if os.geteuid() == 0:
    # give up root's right to write everywhere, but not the user: the interpreter may lie in root's home
    header, none = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    assert ctypes.CDLL(None).capset(header, none) == 0
for arguments in json.loads(sys.argv[1]):
    sys.argv = ["riemaug", *arguments]
    with contextlib.redirect_stderr(io.StringIO()) as told:
        try:
            main()
        except SystemExit as ended:
            code = ended.code
    print(json.dumps([code, told.getvalue()]))
"""


def run_unprivileged(commands: list[list[str]]) -> list[Finished]:
    """Run command lines without root's right to write everywhere."""
    done = subprocess.run(
        [sys.executable, "-c", UNPRIVILEGED, json.dumps(commands)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return [Finished(code, "", told) for code, told in map(json.loads, done.stdout.splitlines())]


class TestModel:
    def copy_of(self, finished: Path, folder: Path) -> Path:
        folder.mkdir()
        for name in ("model.safetensors", "model.json"):
            shutil.copy(finished / name, folder / name)
        return folder

    @pytest.mark.parametrize("damage", ["flipped", "cut", "json", "missing", "version"])
    def test_damaged(self, cli, finished, tmp_path, damage):
        model = self.copy_of(finished, tmp_path / "model")
        tensors, description = model / "model.safetensors", model / "model.json"
        content = tensors.read_bytes()
        if damage == "flipped":
            tensors.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
        elif damage == "cut":
            tensors.write_bytes(content[: len(content) // 2])
        elif damage == "json":
            description.write_text(description.read_text()[:200])
        elif damage == "missing":
            tensors.unlink()
        else:
            text = description.read_text()
            later = text.replace(f'"format_version": {FORMAT_VERSION}', '"format_version": 99')
            assert later != text
            description.write_text(later)
        refused = cli("sample", model, tmp_path / "out", "--per-class", 2)
        assert refused.code == 2
        assert "model" in refused.message
        assert str(model) in refused.message
        assert not (tmp_path / "out").exists()
        assert cli("inspect", model).code == 2

    def test_missing(self, cli, tmp_path):
        refused = cli("sample", tmp_path / "model", tmp_path / "out")
        assert refused.code == 2
        assert "riemaug fit" in refused.message
        assert list(tmp_path.iterdir()) == []

    def test_that_is_also_out(self, cli, finished, tmp_path):
        model = self.copy_of(finished, tmp_path / "model")
        before = everything_in(model)
        for resume in ([], ["--resume"]):
            assert cli("sample", model, model, *resume).code == 2
        assert everything_in(model) == before

    def test_a_plain_vae_has_no_metric_to_sample_by(self, cli, digits, tmp_path):
        assert cli("fit", digits, tmp_path / "model", "--model", "vae", *QUICK).code == 0
        refused = cli("sample", tmp_path / "model", tmp_path / "out", "--sampler", "walk")
        assert refused.code == 2
        assert "--sampler prior" in refused.message
        assert not (tmp_path / "out").exists()

    @pytest.mark.parametrize("options", [["--per-class", 0], ["--jobs", 0], ["--sampler", "x"]])
    def test_bad_options(self, cli, finished, tmp_path, options):
        refused = cli("sample", finished, tmp_path / "out", *options)
        assert refused.code == 2
        assert options[0] in refused.message
        assert not (tmp_path / "out").exists()


def test_a_job_that_cannot_fit_the_memory(cli, tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for number in range(2):
            pixels = rng.integers(0, 256, (256, 256), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "data" / name / f"{number}.png")
    little = collections.namedtuple("little", "available")(available=30_000_000)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: little)
    refused = cli("augment", tmp_path / "data", tmp_path / "out")
    assert refused.code == 2
    assert "GB of memory" in refused.message
    assert "--resize HxW" in refused.message
    assert not (tmp_path / "out").exists()


def test_samples_that_cannot_fit_the_disk(cli, digits, finished, tmp_path, monkeypatch):
    full = collections.namedtuple("full", "free")(free=100_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: full)
    for command in (["augment", digits], ["sample", finished]):
        refused = cli(*command, tmp_path / "new" / "out", "--per-class", 500)
        assert refused.code == 2
        assert "disk" in refused.message
        assert "another disk" in refused.message
        assert list(tmp_path.iterdir()) == []


def test_python_m_is_the_same_command(tmp_path):
    command = [sys.executable, "-m", "riemaug", "augment", str(tmp_path / "missing"), str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("riemaug: ")
    assert "does not exist" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_installed_command_ends_the_same_way(tmp_path):
    assert EXECUTABLE.is_file()
    refused = run_for_real("augment", tmp_path / "missing", tmp_path / "out")
    assert refused.code == 2
    assert "does not exist" in refused.message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("augmnt", "x"), "no such command 'augmnt'"),
        (("augment", "x", "out", "--per-clas", 3), "--per-class"),
        (("augment",), "missing argument"),
        (("augment", "x", "out", "--per-class", "two"), "'--per-class'"),
        (("augment", "x", "out", "more"), "(more)"),
    ],
)
def test_a_command_line_that_cannot_be_read_is_one_line_too(
    arguments: tuple[object, ...], told: str, cli: Command
) -> None:
    done = cli(*arguments)
    assert done.code == 2
    assert told in done.message
    assert done.message.endswith("riemaug --help" if "augmnt" in arguments else "riemaug augment --help")


def test_nothing_at_all_asks_for_the_help(cli: Command) -> None:
    done = cli()
    assert done.code == 2
    assert "COMMAND" in done.out + done.err
    assert "riemaug: " not in done.err


def test_classes_that_a_disk_takes_for_one_are_refused(cli: Command, tmp_path: Path) -> None:
    data, disk = write_digits(tmp_path / "data", {"Cat": 4, "cat": 4}), tmp_path / "Disk"
    disk.mkdir()
    (tmp_path / "dISK").symlink_to(disk)  # as a disk that ignores case shows its folders
    for options in ((), ("--shards", "npz")):
        done = cli("augment", data, disk, "--per-class", 2, *QUICK, "--dry-run", *options)
        assert done.code == 2
        assert "'Cat', 'cat' differ in upper and lower case alone" in done.message
    assert cli("augment", data, tmp_path / "out", "--per-class", 2, *QUICK, "--dry-run").code == 0
