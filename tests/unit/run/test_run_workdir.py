import json
import os
import subprocess
import sys

import pytest

from riemaug.config import SamplingConfig
from riemaug.data import prepare_output
from riemaug.errors import InvalidInputError
from riemaug.run.lock import is_locked, only_run
from riemaug.run.request import (
    AugmentRequest,
    FitRequest,
    ReadOptions,
    RunOptions,
    SampleRequest,
    identity_of,
)
from riemaug.run.workdir import (
    IDENTITY_KEY,
    WorkDir,
    check_out,
    check_same_run,
    finished_run,
    open_run,
    open_workdir,
    unfinished_run,
)

IDENTITY = {"job": "fit", "generator": {"seed": 1, "max_epochs": None}, "data contents": "abc"}


def finish(out, identity=IDENTITY):
    (out / "run.json").write_text(json.dumps({IDENTITY_KEY: identity}))


def fail_in_a_run(out):
    with open_run(out, None, IDENTITY, False) as work:
        assert unfinished_run(out)
        work.result(0).write_text("{}")
        raise ZeroDivisionError


def test_a_run_is_unfinished_until_its_block_ends_well(tmp_path):
    out = tmp_path / "out"
    assert not unfinished_run(out)
    with pytest.raises(ZeroDivisionError):
        fail_in_a_run(out)
    assert unfinished_run(out)
    assert finished_run(out) is None
    with open_run(out, None, IDENTITY, True) as work:
        assert work.result(0).is_file()
        finish(out)
        assert finished_run(out) is None
    assert not unfinished_run(out)
    assert os.listdir(out) == ["run.json"]
    assert finished_run(out) == {IDENTITY_KEY: IDENTITY}


def test_an_unfinished_run_needs_resume(tmp_path):
    prepare_output(tmp_path)
    open_workdir(tmp_path, IDENTITY, False)
    with pytest.raises(InvalidInputError, match="--resume"):
        open_workdir(tmp_path, IDENTITY, False)
    with pytest.raises(InvalidInputError, match="--resume"):
        check_out(tmp_path, None, False)
    check_out(tmp_path, None, True)
    assert open_workdir(tmp_path, IDENTITY, True).path.is_dir()


def test_resume_is_no_way_into_a_foreign_folder(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(InvalidInputError, match="new or empty"):
        check_out(tmp_path, None, True)
    # not even if it has a file of the name that ours has
    for text in ("", "[]", "{}", '{"identity": 3}'):
        (tmp_path / "run.json").write_text(text)
        assert finished_run(tmp_path) is None
        with pytest.raises(InvalidInputError, match="new or empty"):
            check_out(tmp_path, None, True)
    finish(tmp_path)
    check_out(tmp_path, None, True)
    with pytest.raises(InvalidInputError, match="new or empty"):
        check_out(tmp_path, None, False)


def test_the_journal_goes_first_when_the_folder_is_removed(tmp_path):
    work = open_workdir(tmp_path, IDENTITY, False)
    (work.path / "class-0000.result.json").write_text("{}")
    work.journal.unlink()  # killed here
    assert not unfinished_run(tmp_path)
    again = open_workdir(tmp_path, IDENTITY, False)
    assert os.listdir(again.path) == ["journal.json"]
    again.remove()
    again.remove()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"generator": {"seed": 2, "max_epochs": None}}, "--seed (it was 1, now 2)"),
        ({"generator": {"seed": 1, "max_epochs": 5}}, "--max-epochs (it was not given, now 5)"),
        ({"data contents": "def"}, "the data changed"),
        ({"riemaug version": "2"}, "the version of riemaug (it was not given, now 2)"),
        ({"job": "augment"}, "begun by riemaug fit, not by augment"),
    ],
)
def test_what_changed_is_named(tmp_path, changed, words):
    check_same_run(IDENTITY, dict(IDENTITY), tmp_path)
    with pytest.raises(InvalidInputError) as refused:
        check_same_run(IDENTITY, IDENTITY | changed, tmp_path)
    assert words in str(refused.value)


def test_an_identity_survives_its_file_and_leaves_out_what_changes_no_byte(tmp_path):
    request = AugmentRequest(data=tmp_path, out=tmp_path / "out", command="riemaug augment ...")
    identity = identity_of(request, "abc", "0.1", "cuda:1")
    assert json.loads(json.dumps(identity)) == identity
    other = request.model_copy(update={"run": RunOptions(jobs=3, batch_size=1, resume=True), "command": ""})
    assert identity_of(other, "abc", "0.1", "cuda:0") == identity
    assert identity_of(other, "abc", "0.1", "cpu") != identity
    assert identity_of(other, "abd", "0.1", "cuda") != identity
    told = [
        identity_of(request, "abc", "0.1", "cuda", subjects) for subjects in (("a", "b"), ("a", "c"), None)
    ]
    assert told[0] != told[1]
    assert told[2] == identity
    assert identity_of(other, "abc", "0.2", "cuda") != identity
    seeded = other.model_copy(update={"sampling": SamplingConfig(seed=1)})
    assert identity_of(seeded, "abc", "0.1", "cuda") != identity
    elsewhere = other.model_copy(update={"reading": ReadOptions(participants=tmp_path / "raw.tsv")})
    assert identity_of(elsewhere, "abc", "0.1", "cuda") == identity
    filled = other.model_copy(update={"reading": ReadOptions(nan=0.0)})
    assert identity_of(filled, "abc", "0.1", "cuda") != identity


def test_the_jobs_have_identities_of_their_own(tmp_path):
    fit = identity_of(FitRequest(data=tmp_path, out=tmp_path), "abc", "0.1", "cpu")
    augment = identity_of(AugmentRequest(data=tmp_path, out=tmp_path), "abc", "0.1", "cpu")
    sample = identity_of(SampleRequest(model=tmp_path, out=tmp_path), "abc", "0.1")
    assert [identity["job"] for identity in (fit, augment, sample)] == ["fit", "augment", "sample"]


HOLD = """
import sys
from pathlib import Path
from riemaug.run.lock import only_run

with only_run(Path(sys.argv[1]), Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_one_run_at_a_time_also_among_processes(tmp_path):
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        assert is_locked(tmp_path)
        with pytest.raises(InvalidInputError, match="one run at a time"), only_run(tmp_path, tmp_path):
            pass
        process.kill()
        process.wait(30)
        # the lock ends with its process, however that ends
        assert not is_locked(tmp_path)
    with only_run(tmp_path, tmp_path):
        assert is_locked(tmp_path)
    assert not is_locked(tmp_path)


def test_files_of_two_classes_never_meet(tmp_path):
    work = WorkDir(tmp_path)
    names = [
        method(index)
        for index in (0, 1, 12_345)
        for method in (
            work.training_state,
            work.weights,
            work.description,
            work.samples,
            work.result,
            work.pictures,
            work.progress,
        )
    ]
    names += [work.journal, work.joined_samples()]
    assert len(set(names)) == len(names)
