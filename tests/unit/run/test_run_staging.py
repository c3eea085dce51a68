"""What a quick command makes appears in OUT when it is whole, and a killed one can be repeated."""

import os
from pathlib import Path

import pytest

from riemaug.errors import InvalidInputError
from riemaug.run import staging
from riemaug.run.lock import only_run
from riemaug.run.staging import STAGE_NAME, check_stage_out, is_half_moved, staged_output

NAMES = ("a", "b.csv", "z")


class Killed(BaseException):
    """Stands for the end of the process: nothing is cleaned up after it."""


def write(out: Path, text: str = "new") -> None:
    with staged_output(out, None, "b.csv") as folder:
        for name in ("a", "z"):
            (folder / name).mkdir()
            (folder / name / "file").write_text(text)
        (folder / "b.csv").write_text(text)


def shown(out: Path) -> list[str]:
    return sorted(path.name for path in out.iterdir())


def killed_after(out: Path, moves: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave `out` as a process does that is killed after so many moves."""
    real, left = os.replace, [moves]

    def move(source: Path, target: Path) -> None:
        if Path(target).parent == out:
            if not left[0]:
                monkeypatch.setattr(staging, "_take_back", lambda out: None)
                raise Killed
            left[0] -= 1
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", move)
        with pytest.raises(Killed):
            write(out, "old")
    monkeypatch.undo()


def test_what_is_made_is_seen_at_the_end_alone(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with staged_output(out, None, "b.csv") as folder:
        (folder / "b.csv").write_text("all")
        assert shown(out) == [STAGE_NAME]
    assert shown(out) == ["b.csv"]


def test_the_last_file_comes_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    killed_after(out, 2, monkeypatch)
    assert shown(out) == [STAGE_NAME, "a", "z"]


@pytest.mark.parametrize("moves", [0, 1, 2])
def test_a_killed_command_is_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moves: int) -> None:
    out = tmp_path / "out"
    killed_after(out, moves, monkeypatch)
    assert is_half_moved(out) == (moves > 0)
    check_stage_out(out)
    write(out)
    assert shown(out) == list(NAMES)
    assert {(out / name).read_text() for name in ("a/file", "b.csv", "z/file")} == {"new"}


@pytest.mark.parametrize("foreign", ["thesis.tex", "z"])
def test_what_is_not_ours_is_left_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, foreign: str
) -> None:
    out = tmp_path / "out"
    killed_after(out, 1, monkeypatch)
    # "z" is listed, but still waits in the stage: what has its name now was put there by somebody else
    (out / foreign).write_text("years of work")
    with pytest.raises(InvalidInputError, match="must be new or empty"):
        write(out)
    assert (out / foreign).read_text() == "years of work"
    assert (out / "a" / "file").read_text() == "old"


def test_a_list_that_leads_elsewhere_removes_nothing(tmp_path: Path) -> None:
    out, other = tmp_path / "out", tmp_path / "mine"
    other.write_text("years of work")
    (out / STAGE_NAME).mkdir(parents=True)
    (out / STAGE_NAME / "moved.json").write_text('["../mine", "..", "", 3]')
    write(out)
    assert other.read_text() == "years of work"
    assert shown(out) == list(NAMES)


def test_an_error_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, real = tmp_path / "out", os.replace

    def full(source: Path, target: Path) -> None:
        if Path(target).name == "z":
            raise OSError(28, "No space left on device")
        real(source, target)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        write(out)
    assert shown(out) == []


def test_one_command_at_a_time(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with only_run(out, out), pytest.raises(InvalidInputError, match="another one is at work"):
        write(out)
    assert shown(out) == []
