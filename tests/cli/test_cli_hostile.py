"""The command line on data, models, outputs and options that somebody made to do harm."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli_runs import CONTROL, QUICK, Command, everything_in, write_digits

from riemaug.data import read_manifest

ESCAPES = "\x1b]0;owned\x07\x1b[31m"


def one_line(finished: Any, *parts: str) -> None:
    assert finished.code == 2, finished
    for part in parts:
        assert part in finished.message


class TestLimits:
    def test_a_limit_refuses_and_says_how_to_raise_it(self, cli: Command, digits: Path) -> None:
        refused = cli("inspect", digits, "--limit", "pixels=63")
        one_line(refused, "up to 63 pixels", "8x8", "--limit pixels=NUMBER")
        assert cli("inspect", digits, "--limit", "pixels=64").code == 0

    @pytest.mark.parametrize("text", ["[limit]\npixels = 63\n", 'limit = ["pixels=63"]\n'])
    def test_a_file_gives_limits_too(self, cli: Command, digits: Path, tmp_path: Path, text: str) -> None:
        (tmp_path / "limits.toml").write_text(text)
        command = ("augment", digits, tmp_path / "out", "--dry-run", "--config", tmp_path / "limits.toml")
        one_line(cli(*command), "up to 63 pixels")
        assert cli(*command, "--limit", "pixels=1k").code == 0

    def test_names_that_are_none_are_told_the_right_ones(self, cli: Command, digits: Path) -> None:
        one_line(cli("inspect", digits, "--limit", "pixel=3"), "text-bytes", "'pixel=3'")

    def test_what_split_links_is_read_without_an_option(
        self, cli: Command, digits: Path, tmp_path: Path
    ) -> None:
        assert cli("split", digits, tmp_path / "parts", "--link", "--test", "6").code == 0
        train = tmp_path / "parts" / "train"
        assert all(path.is_symlink() for path in train.rglob("*.png"))
        assert cli("inspect", train).code == 0

    @pytest.mark.parametrize("command", ["fit", "augment", "split"])
    def test_links_to_folders_outside_are_followed_if_asked(
        self, cli: Command, tmp_path: Path, command: str
    ) -> None:
        data = write_digits(tmp_path / "data", {"none": 12, "one": 12})
        (data / "one").rename(tmp_path / "far")
        (data / "one").symlink_to(tmp_path / "far")
        options = (command, data, tmp_path / "out", "--dry-run")
        one_line(cli(*options), "must not lead out of the data folder", "--follow-links")
        assert cli(*options, "--follow-links").code == 0


class TestConfig:
    @pytest.mark.parametrize(
        "content",
        [
            b"x = " + b"[" * 100_000,
            b"x = " + b"9" * 10_000,
            b"seed = 1\n" * 3,
            b"\xff\xfe",
            b"a." * 5000 + b"b = 1",
            b"#" * (2**20 + 1),
            b'per-class = "' + ESCAPES.encode() + b'"',
            b'[limit]\n"pixels=3\\npages" = 1',
            b"[limit]\npixels = [1]",
            b"limit = {pixels = {a = 1}}",
        ],
    )
    def test_a_hostile_file_is_one_line(
        self, cli: Command, digits: Path, tmp_path: Path, content: bytes
    ) -> None:
        (tmp_path / "x.toml").write_bytes(content)
        refused = cli("augment", digits, tmp_path / "out", "--config", tmp_path / "x.toml")
        one_line(refused)
        assert not CONTROL.search(refused.err)
        assert not (tmp_path / "out").exists()


class TestNames:
    def test_a_terminal_obeys_no_name(self, cli: Command, tmp_path: Path) -> None:
        data = write_digits(tmp_path / "data", {"[red]x": 12, "one": 12})
        (data / "one" / f"{ESCAPES}.txt").touch()
        shutil.copy(data / "one" / "scan-00.png", data / "one" / f"{ESCAPES}\u202e.png")
        for command in (("inspect", data), ("augment", data, tmp_path / "out", "--dry-run")):
            done = cli(*command)
            assert done.code == 0, done
            told = done.out + done.err
            assert "[red]x" in told
            assert "\\x1b" in told
            assert not CONTROL.search(told)
            assert "\u202e" not in told

    @pytest.mark.parametrize("name", ["a\nb", ESCAPES, "png.\u202egnp"])
    def test_a_class_that_controls_the_terminal_is_refused(
        self, cli: Command, tmp_path: Path, name: str
    ) -> None:
        data = write_digits(tmp_path / "data", {name: 12, "one": 12})
        refused = cli("inspect", data)
        one_line(refused, "rename the class")
        assert not CONTROL.search(refused.err)

    @pytest.mark.parametrize("name", ["../../up", "/tmp/up", "a\nb", "run.json", "\ud800", "."])
    def test_a_model_writes_to_no_other_folder(
        self, cli: Command, finished: Path, tmp_path: Path, name: str
    ) -> None:
        model, out = tmp_path / "in" / "model", tmp_path / "in" / "out"
        shutil.copytree(finished, model, ignore=shutil.ignore_patterns("none", "one"))
        description = json.loads((model / "model.json").read_text())
        description["models"][0]["classes"][0]["name"] = name
        (model / "model.json").write_text(json.dumps(description))
        refused = cli("sample", model, out, "--per-class", 2)
        one_line(refused)
        assert not CONTROL.search(refused.err)
        assert [path.name for path in tmp_path.iterdir()] == ["in"]
        assert [path.name for path in (tmp_path / "in").iterdir()] == ["model"]


@pytest.fixture
def output(finished: Path, tmp_path: Path) -> Path:
    """A copy of a finished output, with a secret beside it."""
    shutil.copytree(finished, tmp_path / "out")
    shutil.copy(finished / "none" / "none-000001.png", tmp_path / "secret.png")
    return tmp_path / "out"


def change_run(out: Path, change: Callable[[dict[str, Any]], None]) -> None:
    run = json.loads((out / "run.json").read_text())
    change(run)
    (out / "run.json").write_text(json.dumps(run))


class TestOutput:
    @pytest.mark.parametrize(
        "name",
        [
            "../secret.png",
            *(
                pytest.param(name, marks=pytest.mark.slow)
                for name in ("none/../../secret.png", "SECRET", "none/away/secret.png", "/dev/zero")
            ),
        ],
    )
    def test_a_manifest_leads_nowhere_else(
        self, cli: Command, output: Path, tmp_path: Path, name: str
    ) -> None:
        (output / "none" / "away").symlink_to(tmp_path)
        wanted = str(tmp_path / "secret.png") if name == "SECRET" else name
        manifest = output / "manifest.csv"
        first = read_manifest(manifest)[0].file
        manifest.write_text(manifest.read_text().replace(first, wanted, 1))
        before = (output / "report.html").read_bytes()
        one_line(cli("report", output), "as they were written", "outside of the folder")
        assert (output / "report.html").read_bytes() == before
        assert (tmp_path / "secret.png").is_file()

    @pytest.mark.parametrize(
        "content", ['{"a":' * 5000, "[" * 100_000, "[]", "{}", '{"request": [], "classes": []}', "\xff"]
    )
    def test_a_run_file_that_is_none_is_one_line(self, cli: Command, output: Path, content: str) -> None:
        (output / "run.json").write_text(content, encoding="latin-1")
        one_line(cli("report", output), "run.json must be as the run wrote it")

    @pytest.mark.parametrize(
        "change",
        [
            lambda run: run["request"].update(reading={"resize": "x"}),
            lambda run: run["request"].update(sampling={"sampler": "none"}),
            *(
                pytest.param(change, marks=pytest.mark.slow)
                for change in (
                    lambda run: run["request"].update(reading=[1]),
                    lambda run: run["request"].update(sampling=3),
                    lambda run: run.update(environment=[]),
                    lambda run: run.update(created="yesterday"),
                    lambda run: run.update(classes=[{"class": "none", "diagnostics": 3}]),
                    lambda run: run.update(seconds="long"),
                )
            ),
        ],
    )
    def test_a_run_file_that_was_changed_is_one_line(
        self, cli: Command, output: Path, change: Callable[[dict[str, Any]], None]
    ) -> None:
        change_run(output, change)
        one_line(cli("report", output), "run.json must be as the run wrote it")

    @pytest.mark.slow
    def test_a_run_file_raises_no_limit(self, cli: Command, output: Path) -> None:
        change_run(output, lambda run: run["request"]["reading"].update(limits={"pixels": 1}))
        told = cli("report", output)
        assert told.code == 0, told.err
        assert "no real pictures" not in told.err
        told = cli("report", output, "--limit", "pixels=1")
        assert "no real pictures" in told.err


class TestOwnFolders:
    """Folders of our own in OUT that lead somewhere else: a run empties its folders."""

    @pytest.mark.parametrize("command", ["augment", "fit", "sample", "split"])
    @pytest.mark.parametrize("name", [".riemaug", ".riemaug-stage"])
    def test_a_link_is_refused_and_nothing_behind_it_touched(
        self, cli: Command, digits: Path, finished: Path, tmp_path: Path, command: str, name: str
    ) -> None:
        precious, out = tmp_path / "precious", tmp_path / "out"
        out.mkdir()
        shutil.copytree(digits, precious)
        (out / name).symlink_to(precious)
        before = everything_in(precious)
        source = finished if command == "sample" else digits
        for resume in ([], ["--resume"]) if command != "split" else ([],):
            one_line(cli(command, source, out, *resume), "is a link", "remove it")
        assert everything_in(precious) == before
        assert [path.name for path in out.iterdir()] == [name]

    def test_a_link_left_in_the_working_folder_is_removed_alone(
        self, cli: Command, digits: Path, tmp_path: Path
    ) -> None:
        precious, out = tmp_path / "precious", tmp_path / "out"
        shutil.copytree(digits, precious)
        before = everything_in(precious)
        (out / ".riemaug").mkdir(parents=True)
        (out / ".riemaug" / "log").symlink_to(precious)
        assert cli("fit", digits, out, *QUICK).code == 0
        assert everything_in(precious) == before


@pytest.mark.parametrize(("kind", "other"), [("npz", "=cmd_calc-a7ccfdf0"), ("webdataset", "a_b-2e7336dc")])
def test_classes_whose_shards_would_bear_one_name_are_refused(
    cli: Command, tmp_path: Path, kind: str, other: str
) -> None:
    first = "=cmd|calc" if kind == "npz" else "a.b"
    data = write_digits(tmp_path / "data", {first: 4, other: 4})
    options = ("--per-class", 2, *QUICK, "--dry-run")
    refused = cli("augment", data, tmp_path / "out", *options, "--shards", kind)
    one_line(refused, "shards of different classes need different names", "rename one of the classes")
    assert cli("augment", data, tmp_path / "out", *options).code == 0
