"""Amounts, real images beside the new ones, groups, names, configuration files."""

import json
import os
from pathlib import Path
from typing import get_args, get_type_hints

import numpy as np
import pytest
from cli_runs import QUICK, digit_arrays, read_image_folder, run_for_real, same_bytes, write_digits
from PIL import Image
from typer.main import get_command

from riemaug.cli.main import app
from riemaug.data import read_dataset, read_manifest

VAE = ("--model", "vae", *QUICK)
"""The quickest job there is."""


def counts(out):
    classes, samples = read_image_folder(out)
    return {name: sum(index == label for _, label in samples) for index, name in enumerate(classes)}


@pytest.mark.parametrize(
    ("amount", "wanted"),
    [
        ([], {"none": 12, "one": 14}),
        (["--per-class", 3], {"none": 3, "one": 3}),
        (["--factor", 1.5], {"none": 6, "one": 7}),
        (["--balance"], {"none": 2}),
    ],
)
def test_amounts(cli, digits, tmp_path, amount, wanted):
    assert cli("augment", digits, tmp_path / "out", *VAE, *amount).code == 0
    assert counts(tmp_path / "out") == wanted


def test_balance_of_equal_classes_has_nothing_to_make(cli, tmp_path):
    data = write_digits(tmp_path / "data", {"a": 4, "b": 4})
    refused = cli("augment", data, tmp_path / "out", *VAE, "--balance")
    assert refused.code == 2
    assert "all have 4 samples already" in refused.message
    assert "--per-class" in refused.message
    assert not (tmp_path / "out").exists()


def test_a_factor_too_small_for_the_classes_has_nothing_to_make(cli, digits, tmp_path):
    refused = cli("augment", digits, tmp_path / "out", *VAE, "--factor", 1.001)
    assert refused.code == 2
    assert "--factor 1.001" in refused.message
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_every_command_leaves_out_the_files_that_are_not_wanted(cli, tmp_path):
    data, out = write_digits(tmp_path / "data", {"a": 6, "b": 6}), tmp_path / "out"
    for path in sorted(data.rglob("*.png")):
        np.save(path.with_name(f"{path.stem}_mask.npy"), np.eye(4))
    assert "a data set holds" in cli("inspect", data).message
    choice = ("--exclude", "*_mask.npy", "--include", "*.npy", "--include", "*/*.png")
    assert cli("augment", data, out, *VAE, "--per-class", 2, *choice).code == 0
    (tmp_path / "job.toml").write_text('exclude = ["*_mask.npy"]\ninclude = "*.png"\n')
    for command in (
        ("inspect", data),
        ("fit", data, tmp_path / "more", *VAE, "--dry-run"),
        ("split", data, tmp_path / "more", "--val", 0, "--test", 0.5, "--dry-run"),
        ("sample", out, tmp_path / "more", "--per-class", 1, "--real", data, "--dry-run"),
        ("evaluate", data, out, "--no-gain", "--dry-run"),
    ):
        assert cli(*command, "--exclude", "*_mask.npy").code == 0, command
        if command[0] != "inspect":
            assert cli(*command, "--config", tmp_path / "job.toml").code == 0, command


@pytest.mark.parametrize("how", ["copy", "link"])
def test_real_images_beside_the_new_ones(cli, digits, tmp_path, how):
    out = tmp_path / "out"
    done = cli("augment", digits, out, *VAE, "--balance", "--include-real", how)
    assert done.code == 0
    assert counts(out) == {"none": 14, "one": 14}
    real = sorted((out / "one").glob("*-real-*"))
    assert len(real) == 14
    assert all(path.is_symlink() == (how == "link") for path in real)
    assert real[0].read_bytes() == (digits / "one" / "scan-00.png").read_bytes()
    with (out / "metadata.csv").open() as file:
        assert sum(line.endswith(",false\n") for line in file) == 26
    if how == "copy":
        both = read_dataset(out)
        assert both.counts == (14, 14)
        assert any("2 of the 28 images are marked as synthetic" in note for note in both.notes)
    assert len(read_manifest(out / "manifest.csv")) == 2


def test_links_lead_to_the_data_from_anywhere(cli, digits, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = cli("augment", os.path.relpath(digits), "out", *VAE, "--balance", "--include-real", "link")
    assert done.code == 0
    monkeypatch.chdir("/")
    assert all(path.resolve().is_file() for path in (tmp_path / "out").glob("*/*-real-*"))


def test_include_real_is_for_folders(cli, tmp_path):
    images, target = digit_arrays([3, 3])
    np.savez(tmp_path / "data.npz", X=images, y=target)
    refused = cli("augment", tmp_path / "data.npz", tmp_path / "out", *VAE, "--include-real", "copy")
    assert refused.code == 2
    assert "--include-real" in refused.message
    assert not (tmp_path / "out").exists()


def test_no_real_images_keeps_them_out_of_the_report(cli, digits, tmp_path):
    sizes = {}
    for name, option in (("with", []), ("without", ["--no-real-images"])):
        assert cli("augment", digits, tmp_path / name, *VAE, "--per-class", 5, *option).code == 0
        sizes[name] = (tmp_path / name / "report.html").stat().st_size
    assert sizes["without"] < sizes["with"]


def test_groups_are_accepted_and_told(cli, tmp_path):
    data = tmp_path / "data"
    for name in ("a", "b"):
        write_digits(data / name, {f"subject{number}": 2 for number in range(2)})
    done = cli("augment", data, tmp_path / "out", *VAE, "--group-from", "folder", "--per-class", 2)
    assert done.code == 0
    assert "2 groups" in done.err
    assert cli("fit", data, tmp_path / "model", *VAE, "--group-from", r"(subject\d)").code == 0


def test_a_group_note_names_an_option_that_the_command_has(cli, tmp_path):
    data = tmp_path / "data"
    for name in ("a", "b"):
        write_digits(data / name, {f"subject{number}": 3 for number in range(3)})
    for command in ("augment", "fit"):
        told = cli(command, data, tmp_path / "out", *VAE, "--dry-run")
        assert "--group-from folder" in told.err
        assert cli(command, data, tmp_path / "out", "--dry-run", "--group-from", "folder").code == 0


def test_a_dry_run_of_fit_tells_time_memory_and_disk(cli, digits, tmp_path):
    told = cli("fit", digits, tmp_path / "model", *VAE, "--dry-run")
    assert all(word in told.err for word in ("of disk; about ", "of memory", "dry run: nothing was done"))
    fields = cli("fit", digits, tmp_path / "model", *VAE, "--dry-run", "--json").document
    assert fields["disk_bytes"] > 4 * 2 * 64 * 400  # the weights of the first layers alone
    assert not (tmp_path / "model").exists()


NAMES = (
    "two words",
    "v1.0.final",
    "Müller 你好 🫀",
    "=SUM(A1)",
    "-rf",
    "'quoted'",
    "a,b;c",
    "[red]",
    "100%",
    "#{x}",
    "class" * 45,
)


def test_any_class_name_works_from_end_to_end(cli, tmp_path):
    data = write_digits(tmp_path / "data", dict.fromkeys(NAMES, 4))
    out = tmp_path / "out"
    done = cli("augment", data, out, *VAE, "--per-class", 2, "--include-real", "copy")
    assert done.code == 0, done.err
    both = read_dataset(out)
    assert set(both.class_names) == set(NAMES)
    assert both.counts == (6,) * len(NAMES)
    rows = read_manifest(out / "manifest.csv")
    assert {row.class_name for row in rows} == set(NAMES)
    assert all((out / row.file).is_file() for row in rows)
    again = cli("sample", out, tmp_path / "more-out", "--per-class", 2)
    assert again.code == 0
    assert {path.name for path in (tmp_path / "more-out").iterdir() if path.is_dir()} == set(NAMES)
    assert len(cli("inspect", out, "--json").document["classes"]) == len(NAMES)
    assert len(cli("inspect", out).out.splitlines()) >= len(NAMES)


@pytest.mark.slow
def test_a_pipe_that_cannot_show_a_name_gets_escapes(tmp_path):
    data = write_digits(tmp_path / "data", {"你好": 3, "b": 3})
    done = run_for_real("inspect", data, env={**os.environ, "PYTHONIOENCODING": "latin-1"})
    assert done.code == 0, done.err
    assert "\\u4f60\\u597d" in done.out


VALUES_IN_TOML = {
    bool: ("true", True, None),
    int: ("3", 3, 4),
    float: ("0.5", 0.5, 0.25),
    str: ('"0.5"', "0.5", "0.25"),
    Path: ('"some/where"', Path("some/where"), Path("else/where")),
}
"""By the type of an option: a value as it is written, as it is read, and another one."""
LEVELS = ('"warning"', "warning", "error")
"""Such values of --log-level, which is checked at once."""


def _kind_of(hint):
    """Return the type of an option's value; a list's is that of its items."""
    parts = {hint, *get_args(hint)}
    return next((kind for kind in VALUES_IN_TOML if kind in parts), str)


def _one(taken):
    """Return the only value of an option, of a repeatable one too."""
    return taken[0] if isinstance(taken, list | tuple) else taken


class TestConfig:
    def test_a_file_gives_defaults_and_the_command_line_wins(self, cli, digits, tmp_path):
        config = tmp_path / "job.toml"
        config.write_text(
            'seed = 7\nmax-epochs = 4\nper_class = 3\nmodel = "vae"\nquiet = true\n"latent-dim" = 3\n'
        )
        done = cli("augment", digits, tmp_path / "out", "--config", config, "--seed", 9, "--jobs", 1)
        assert (done.code, done.err) == (0, "")
        assert counts(tmp_path / "out") == {"none": 3, "one": 3}
        request = json.loads((tmp_path / "out" / "run.json").read_text())["request"]
        assert request["generator"]["seed"] == 9
        assert request["generator"]["max_epochs"] == 4
        assert request["generator"]["latent_dim"] == 3

    def test_the_options_of_run_json_replay_the_run(self, cli, digits, tmp_path):
        (tmp_path / "job.toml").write_text('max-epochs = 4\nper-class = 3\nmodel = "vae"\njobs = 1\n')
        first = ["augment", digits, tmp_path / "a", "--config", tmp_path / "job.toml"]
        second = ["augment", digits, tmp_path / "b", "--max-epochs", 4, "--per-class", 3, "--model", "vae"]
        assert cli(*first).code == 0
        assert cli(*second).code == 0
        assert same_bytes(tmp_path / "a") == same_bytes(tmp_path / "b")

    @pytest.mark.parametrize(
        ("text", "parts"),
        [
            ("max-epoch = 3", ["'max-epoch'", "did you mean max-epochs?"]),
            ("seed = 1\n[augment]\nper-class = 3", ["no sections", "[augment]", "without a section"]),
            ("colour = 3", ["'colour'"]),
            ("seed 3", ["TOML"]),
            ("seed = ", ["TOML"]),
            ("[generator]\nseed = 3", ["[generator]"]),
            ("[model]\nkind = 3", ["one value", "model"]),
            ("seed = [1, 2]", ["one value", "seed"]),
        ],
    )
    def test_a_file_that_breaks_a_rule(self, cli, digits, tmp_path, text, parts):
        (tmp_path / "job.toml").write_text(text)
        refused = cli("augment", digits, tmp_path / "out", "--config", tmp_path / "job.toml")
        assert refused.code == 2
        assert all(part in refused.message for part in [*parts, "job.toml"])
        assert not (tmp_path / "out").exists()

    def test_a_missing_file(self, cli, digits, tmp_path):
        refused = cli("augment", digits, tmp_path / "out", "--config", tmp_path / "none.toml")
        assert refused.code == 2
        assert "none.toml" in refused.message

    @pytest.mark.parametrize(
        ("text", "told"), [("pad = 1", "true or false"), ("seed = true", "seed = VALUE")]
    )
    def test_a_flag_is_true_or_false_and_nothing_else_is(self, cli, digits, tmp_path, text, told):
        (tmp_path / "job.toml").write_text(text)
        refused = cli("augment", digits, tmp_path / "out", "--config", tmp_path / "job.toml")
        assert refused.code == 2
        assert told in refused.message

    @pytest.mark.parametrize(
        "command", ["augment", "fit", "sample", "evaluate", "split", "demo", "interpolate", "import"]
    )
    def test_every_option_of_a_command_can_stand_in_the_file(self, tmp_path, command):
        """And what is given on the command line wins."""
        found = get_command(app).commands[command]
        hints = get_type_hints(
            next(
                it.callback
                for it in app.registered_commands
                if it.callback and command in (it.name, it.callback.__name__)
            )
        )
        places = ["x"] * sum(part.param_type_name == "argument" and part.required for part in found.params)
        options = [part for part in found.params if part.param_type_name == "option"]
        for option in options:
            if option.name in ("config", "help"):
                continue
            name = max(option.opts, key=len)
            values = LEVELS if name == "--log-level" else VALUES_IN_TOML[_kind_of(hints[option.name])]
            written, value, other = values
            file = tmp_path / f"{option.name}.toml"
            file.write_text(f"{name.removeprefix('--')} = {written}\n")
            arguments = [*places, "--config", str(file)]
            taken = found.make_context(command, [*arguments]).params[option.name]
            assert _one(taken) == value, option.name
            if not option.is_flag:
                arguments += [name, str(other)]
                assert _one(found.make_context(command, arguments).params[option.name]) == other

    def test_a_repeatable_option_may_be_a_list(self, tmp_path):
        file = tmp_path / "job.toml"
        file.write_text('classifier = ["mlp", "logistic"]\n')
        context = get_command(app).commands["evaluate"].make_context("evaluate", ["x", "--config", str(file)])
        assert context.params["classifier"] == ["mlp", "logistic"]

    def test_a_value_of_the_wrong_kind_names_the_option(self, cli, digits, tmp_path):
        (tmp_path / "job.toml").write_text('per-class = "many"')
        refused = cli("augment", digits, tmp_path / "out", "--config", tmp_path / "job.toml")
        assert refused.code == 2
        assert "--per-class" in refused.message


@pytest.mark.parametrize(
    ("option", "size"), [(["--resize", "6x10"], (10, 6)), (["--pad"], (9, 9)), (["--crop"], (8, 8))]
)
def test_mixed_sizes_brought_to_one(cli, tmp_path, option, size):
    data = write_digits(tmp_path / "data", {"a": 4, "b": 4})
    with Image.open(data / "a" / "scan-00.png") as image:
        image.resize((9, 9)).save(data / "a" / "larger.png")
    done = cli("augment", data, tmp_path / "out", *VAE, *option, "--per-class", 2)
    assert done.code == 0
    assert "note" in done.err
    for path in (tmp_path / "out").glob("*/*.png"):
        with Image.open(path) as image:
            assert image.size == size
