"""Runs that are really killed, interrupted, or cut off from the disk, from outside."""

import os
import pty
import re
import resource
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from cli_runs import (
    EXECUTABLE,
    QUICK,
    Finished,
    epochs_done,
    kill_group,
    leftovers,
    run_for_real,
    same_bytes,
    start,
    wait_until,
    write_digits,
)

LONG = ("--max-epochs", 120, "--per-class", 60, "--seed", 2, "--batch-size", 1)
"""A job with time enough to be killed in."""


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_digits(tmp_path_factory.mktemp("three") / "data", {"zero": 40, "one": 40, "two": 40})


@pytest.fixture(scope="module")
def whole(three: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "out"
    done = run_for_real("augment", three, out, *LONG, "--jobs", 1)
    assert done.code == 0, done.err
    return out


def first_class_is_done(out: Path) -> bool:
    return (out / ".riemaug" / "class-0000.result.json").is_file()


MOMENTS = {
    "at once": lambda out: True,
    "once the run is noted": lambda out: (out / ".riemaug" / "journal.json").is_file(),
    "in training": lambda out: epochs_done(out, 0) >= 10,
    "while images are written": lambda out: (out / "zero" / "zero-000010.png").is_file(),
    "when the first class is done": first_class_is_done,
    "in the training of the last class": lambda out: epochs_done(out, 2) >= 10,
}


def in_turn(moments):
    """Pair each moment with one job or two in turn: both are tried, in half the time of all pairs."""
    return [(moment, 1 + number % 2) for number, moment in enumerate(moments)]


@pytest.mark.slow
@pytest.mark.parametrize(("moment", "jobs"), in_turn(MOMENTS))
def test_a_killed_run_resumes_to_the_same_bytes(three, whole, tmp_path, moment, jobs):
    out = tmp_path / "out"
    command = ["augment", three, out, *LONG, "--jobs", jobs]
    process = start(*command)
    wait_until(lambda: MOMENTS[moment](out), process)
    kill_group(process)
    assert not (out / "run.json").exists()
    work = out / ".riemaug"
    results = [path.name.split(".")[0] for path in work.glob("*.result.json")]
    models = {name: work / f"{name.replace('class', 'model')}.safetensors" for name in results}
    fitted = {name: models[name].stat().st_mtime_ns for name in results}
    if "class is done" in moment or "last class" in moment:
        assert len(fitted) >= 1
    if (work / "journal.json").exists():
        refused = run_for_real(*command)
        assert refused.code == 2
        assert "--resume" in refused.message

    resumed = start(*command, "--resume")
    kept: dict[str, int] = {}
    while resumed.poll() is None:
        for name in fitted.keys() - kept.keys() if epochs_done(out, 2) >= 50 else ():
            kept[name] = models[name].stat().st_mtime_ns
        time.sleep(0.01)
    told = resumed.communicate()
    assert resumed.returncode == 0, told
    assert {name: fitted[name] for name in kept} == kept
    assert same_bytes(out) == same_bytes(whole)
    assert leftovers(out) == []


KILLED_AT = """
import importlib, os, signal, sys
from riemaug.cli.main import main

def die(*arguments, **named):
    os.kill(os.getpid(), signal.SIGKILL)

path, name = sys.argv.pop(1).split(":")
module = importlib.import_module(path)
getattr(module, name)  # a renamed function is an error here, not a run that nobody kills
setattr(module, name, die)
main()
"""

STAGES = [
    "riemaug.run.workdir:atomic_write_text",
    "riemaug.run.fitting:write_tensors",
    "riemaug.run.fitting:model_description",
    "riemaug.run.tasks:load_fitted",
    "riemaug.run.sampling:_save_pictures",
    "riemaug.run.pipeline:save_generators",
    "riemaug.run.pipeline:write_tables",
    "riemaug.run.pipeline:write_report",
    "riemaug.run.pipeline:write_json",
    "riemaug.run.workdir:remove_leftovers",
    "shutil:rmtree",
]


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_a_run_killed_at_any_stage_resumes(digits, finished, tmp_path, stage):
    out = tmp_path / "out"
    command = ["augment", str(digits), str(out), *map(str, ["--per-class", 10, "--seed", 3, *QUICK])]
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_AT, stage, *command], capture_output=True, check=False, timeout=120
    )
    assert killed.returncode == -signal.SIGKILL
    resumed = run_for_real(*command, "--resume")
    assert resumed.code == 0, resumed.err
    assert same_bytes(out) == same_bytes(finished)
    assert leftovers(out) == []


SHARED = ("--preset", "conditional", "--max-epochs", 8, "--per-class", 40, "--seed", 2, "--batch-size", 1)


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_digits(tmp_path_factory.mktemp("few") / "data", {"zero": 12, "one": 12, "two": 12})


@pytest.fixture(scope="module")
def whole_shared(few: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    outs = {name: tmp_path_factory.mktemp(f"shared-{name}") / "out" for name in ("always", "measured")}
    for name, out in outs.items():
        done = run_for_real("augment", few, out, *SHARED, "--sharing", name, "--jobs", 1)
        assert done.code == 0, done.err
    return outs


SHARED_MOMENTS = {
    "in the rehearsal": lambda out: (out / ".riemaug" / "rehearsal" / "class-0000.result.json").is_file(),
    "when it is decided": lambda out: (out / ".riemaug" / "sharing.json").is_file(),
    "in the shared training": lambda out: epochs_done(out, 0, "model") >= 3,
    "when the model is there": lambda out: (out / ".riemaug" / "model-0000.json").is_file(),
    "while images are written": lambda out: (out / "one" / "one-000010.png").is_file(),
}


@pytest.mark.slow
@pytest.mark.parametrize(("moment", "jobs"), in_turn(SHARED_MOMENTS))
def test_a_killed_run_of_a_shared_model_resumes_to_the_same_bytes(few, whole_shared, tmp_path, moment, jobs):
    sharing = "measured" if moment in ("in the rehearsal", "when it is decided") else "always"
    out = tmp_path / "out"
    command = ["augment", few, out, *SHARED, "--sharing", sharing, "--jobs", jobs]
    process = start(*command)
    wait_until(lambda: SHARED_MOMENTS[moment](out), process)
    kill_group(process)
    assert not (out / "run.json").exists()
    resumed = run_for_real(*command, "--resume")
    assert resumed.code == 0, resumed.err
    assert same_bytes(out) == same_bytes(whole_shared[sharing])
    assert leftovers(out) == []


def check_interrupted(process: subprocess.Popen[str], out: Path) -> None:
    """Send Ctrl-C to the whole group, as a terminal does, and check how the run ends."""
    os.killpg(process.pid, signal.SIGINT)
    told = process.communicate(timeout=60)
    ended = Finished(process.returncode, *told)
    assert ended.code == 130, ended
    assert ended.out == ""
    last = ended.err.splitlines()[-1]
    assert last == "riemaug: interrupted; run the same command with --resume to go on where it stopped"
    assert "Traceback" not in ended.err
    assert (out / ".riemaug" / "journal.json").is_file()
    assert not (out / "run.json").exists()


def test_ctrl_c(three, tmp_path):
    out = tmp_path / "out"
    process = start("augment", three, out, "--max-epochs", 10**6, "--jobs", 1)
    wait_until(lambda: epochs_done(out, 0) >= 2, process)
    check_interrupted(process, out)


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_run_after_ctrl_c_resumes_to_the_same_bytes(three, whole, tmp_path, jobs):
    out = tmp_path / "out"
    command = ["augment", three, out, *LONG, "--jobs", jobs]
    process = start(*command)
    wait_until(lambda: epochs_done(out, 0) >= 10, process)
    check_interrupted(process, out)
    resumed = run_for_real(*command, "--resume")
    assert resumed.code == 0, resumed.err
    assert same_bytes(out) == same_bytes(whole)


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_workers_end_with_the_process_that_started_them(three, tmp_path, how):
    out = tmp_path / "out"
    process = start("augment", three, out, "--max-epochs", 10**6, "--jobs", 2)
    wait_until(lambda: epochs_done(out, 0) >= 2 and epochs_done(out, 1) >= 2, process)
    workers = psutil.Process(process.pid).children(recursive=True)
    assert len(workers) >= 2
    os.kill(process.pid, how)
    # not communicate: orphans would hold the pipes open
    process.wait(timeout=30)
    _, alive = psutil.wait_procs(workers, timeout=20)
    assert alive == []
    process.communicate(timeout=10)


@pytest.mark.slow
@pytest.mark.parametrize("which", [0, 1])
def test_a_worker_that_the_system_ends_is_replaced(three, whole, tmp_path, which):
    out = tmp_path / "out"
    process = start("augment", three, out, *LONG, "--jobs", 2)
    wait_until(lambda: epochs_done(out, 0) >= 5 and epochs_done(out, 1) >= 5, process)
    training = [
        child
        for child in psutil.Process(process.pid).children(recursive=True)
        if "LokyProcess" in " ".join(child.cmdline())
    ]
    training[which].kill()
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert "Traceback" not in err
    assert same_bytes(out) == same_bytes(whole)
    assert leftovers(out) == []


def at_most(num_bytes: int) -> None:
    """Let no file grow beyond; what a full disk says, without filling one."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, num_bytes))


@pytest.mark.slow
@pytest.mark.parametrize(("limit", "jobs"), [(100, 1), (50_000, 2), (400_000, 1)])
def test_a_disk_that_is_full_is_told_in_one_line_and_resumed_after(digits, finished, tmp_path, limit, jobs):
    out = tmp_path / "out"
    command = ["augment", digits, out, "--per-class", 10, "--seed", 3, "--max-epochs", 15, "--jobs", jobs]
    stopped = run_for_real(*command, "--quiet", preexec_fn=lambda: at_most(limit))
    assert stopped.code == 1, stopped
    assert "File too large" in stopped.message
    assert "--resume" in stopped.message
    assert not (out / "run.json").exists()
    resumed = run_for_real(*command, "--resume")
    assert resumed.code == 0, resumed.err
    assert same_bytes(out) == same_bytes(finished)


def run_in_a_terminal(*arguments: object) -> tuple[int, str]:
    """Run the command in a pseudo-terminal; return its exit code and all that it showed."""
    master, slave = pty.openpty()
    command = [str(EXECUTABLE), *map(str, arguments)]
    env = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "160", "LINES": "40"}
    process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=env, close_fds=True)
    os.close(slave)
    shown = b""
    try:
        while process.poll() is None or select.select([master], [], [], 0)[0]:
            if select.select([master], [], [], 0.1)[0]:
                shown += os.read(master, 65536)
    except OSError:
        pass  # Linux tells the end of a terminal so
    finally:
        os.close(master)
    return process.wait(timeout=30), shown.decode()


@pytest.mark.slow
def test_a_terminal_shows_class_epoch_elbo_and_time_left(three, tmp_path):
    code, shown = run_in_a_terminal(
        "augment", three, tmp_path / "out", "--model", "vae", "--max-epochs", 300, "--jobs", 1
    )
    assert code == 0
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)
    assert re.search(r"zero .*epoch \d+, \d+ ms each, ELBO -\d+\.\d \(best -\d+\.\d, \d+ ago\)", plain)
    assert re.search(r"all classes .*[0-3]/3 done  about \d+ s left", plain)
    assert "120 samples of 8x8 uint8 in 3 classes" in plain
    assert re.search(r"done 120 new samples in .*out", plain)
    # the bars are gone at the end, what was said stays
    assert "epoch" not in plain.splitlines()[-1]
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h") >= 1


@pytest.mark.slow
def test_a_terminal_is_left_in_order_by_a_refusal(tmp_path):
    code, shown = run_in_a_terminal("augment", tmp_path / "missing", tmp_path / "out")
    assert code == 2
    assert "does not exist" in shown
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h")
