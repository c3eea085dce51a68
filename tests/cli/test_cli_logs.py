"""run.log and what run.json tells of time and memory, of runs as users start them."""

import json
import logging
import signal
from pathlib import Path

import pytest
from cli_runs import (
    QUICK,
    epochs_done,
    kill_group,
    leftovers,
    read_log,
    run_for_real,
    same_bytes,
    start,
    wait_until,
)

import riemaug.run.pipeline

AMOUNT = ("--per-class", 4)


def run_json(out: Path) -> dict:
    return json.loads((out / "run.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def logged(digits, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("logged") / "out"
    done = run_for_real(
        "augment", digits, out, *AMOUNT, "--max-epochs", 3, "--jobs", 2, "--seed", 5, "--quiet"
    )
    assert (done.code, done.err) == (0, "")
    return out


@pytest.mark.slow
def test_the_log_tells_the_run_from_its_command_to_its_end(logged):
    told = read_log(logged)
    first, plan, last = told[0], told[1], told[-1]
    assert first["fields"]["seed"] == 5
    assert "augment" in first["fields"]["command"]
    assert plan["fields"]["data_sha256"] == run_json(logged)["data"]["sha256"]
    assert plan["fields"]["classes"] == {"none": 12, "one": 14}
    assert last["message"].startswith("finished in ")
    assert last["fields"] == {"samples": 8}
    written = {name for record in told for name in record["fields"].get("bytes", {})}
    assert written >= {"model.safetensors", "model.json", "manifest.csv", "metadata.csv", "report.html"}
    notes = [record["message"] for record in told if record["level"] == "warning"]
    assert set(run_json(logged)["notes"]) <= set(notes)


@pytest.mark.slow
def test_each_class_tells_of_its_training_and_its_samples_from_its_worker(logged):
    told, parent = read_log(logged), read_log(logged)[0]["process"]
    for name in ("none", "one"):
        begun, fitted, drawn = (record for record in told if record["class"] == name)
        assert begun["message"].startswith("training begins")
        assert fitted["fields"]["epochs"] == 3
        assert {"best_elbo", "rollbacks", "failed_steps", "stop_reason"} <= fitted["fields"].keys()
        assert drawn["fields"]["diagnostics"]["num_draws"] == 4
        assert [record["stage"] for record in (begun, fitted, drawn)] == ["fit", "fit", "sample"]
        assert parent not in {record["process"] for record in (begun, fitted, drawn)}


@pytest.mark.slow
def test_run_json_tells_time_memory_and_processor(logged):
    run = run_json(logged)
    assert run["resumes"] == 0
    assert {"read", "plan", "classes", "save", "report"} <= run["stages"].keys()
    assert sum(run["stages"].values()) == pytest.approx(run["seconds"], abs=1)
    assert run["worker_processes"] in (1, 2)
    by_process = run["peak_memory_by_process_mb"]
    assert min(by_process.values()) > 50
    assert run["peak_memory_mb"] == max(by_process.values())
    assert min(run["cpu_seconds"].values()) > 0


@pytest.mark.slow
def test_a_killed_run_goes_on_in_its_log_and_counts_its_seconds(cli, digits, finished, tmp_path):
    out = tmp_path / "out"
    command = ["augment", digits, out, "--seed", 3, "--factor", 2, "--max-epochs", 20_000, "--jobs", 1]
    process = start(*command)
    wait_until(lambda: epochs_done(out, 0) > 0, process)
    kill_group(process)
    before = read_log(out)
    assert before[-1]["message"].startswith("training begins")
    # the rest need not be done in full: it is stopped, politely, as soon as it has begun
    process = start(*command, "--resume")
    wait_until(lambda: len(read_log(out)) > len(before) + 3, process)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    told = read_log(out)
    assert told[: len(before)] == before
    (resumed,) = [record for record in told if record["message"].startswith("resumed")]
    assert resumed["fields"] == {"resumes": 1}
    assert told[-1]["message"].startswith("stopped from outside")
    parts = json.loads((out / ".riemaug" / "parts.json").read_text())
    assert len(parts) == 2
    assert all(part["seconds"] > 0 for part in parts)


def test_the_parts_of_a_resumed_run_are_summed(cli, digits, finished, tmp_path, monkeypatch):
    out = tmp_path / "out"
    command = ["augment", digits, out, *AMOUNT, *QUICK, "--seed", 3, "--quiet"]

    def refuse(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(riemaug.run.pipeline, "write_report", refuse)
        assert cli(*command).code == 1
    assert "No space left on device" in read_log(out)[-1]["message"]
    assert read_log(out)[-1]["level"] == "error"
    kept = out / ".riemaug" / "parts.json"
    (part,) = json.loads(kept.read_text())
    # as if it had taken long: what the rest takes may be less than the hundredths that run.json tells
    part["seconds"] += 1000
    part["stages"]["classes"] += 900
    kept.write_text(json.dumps([part]))
    assert cli(*command, "--resume").code == 0
    run = run_json(out)
    assert run["resumes"] == 1
    assert 1000 < run["seconds"] < 1060
    assert 900 < run["stages"]["classes"] < 960
    assert run["stages"]["report"] < 60
    assert leftovers(out) == []


def test_an_unexpected_failure_is_one_line_that_names_the_log(cli, digits, tmp_path, monkeypatch):
    out = tmp_path / "out"

    def fail(*arguments: object) -> None:
        raise ZeroDivisionError("of our making")

    monkeypatch.setattr(riemaug.run.pipeline, "write_report", fail)
    done = cli("augment", digits, out, *AMOUNT, *QUICK, "--quiet")
    assert done.code == 1
    assert "ZeroDivisionError" in done.message
    assert str(out / "run.log") in done.message
    last = read_log(out)[-1]
    assert last["level"] == "critical"
    assert 'raise ZeroDivisionError("of our making")' in last["traceback"]


@pytest.mark.parametrize("where", ["option", "file"])
def test_at_debug_the_lines_go_to_stderr_too(cli, digits, tmp_path, where):
    level: list[object] = ["--log-level", "debug"]
    if where == "file":
        (tmp_path / "run.toml").write_text('log-level = "debug"\n')
        level = ["--config", tmp_path / "run.toml"]
    handlers = list(logging.getLogger("riemaug").handlers)
    done = cli("fit", digits, tmp_path / "out", "--max-epochs", 2, "--jobs", 1, "--quiet", *level)
    assert done.code == 0
    assert "debug   fit none: epoch 2: ELBO" in done.err
    assert any(record["level"] == "debug" for record in read_log(tmp_path / "out"))
    assert logging.getLogger("riemaug").handlers == handlers


@pytest.mark.slow
def test_the_level_is_that_of_the_log_alone(cli, digits, logged, tmp_path):
    out = tmp_path / "out"
    done = cli("sample", logged, out, *AMOUNT, "--seed", 5, "--quiet", "--log-level", "error")
    assert (done.code, done.err) == (0, "")
    assert read_log(out) == []
    samples = {name: digest for name, digest in same_bytes(logged).items() if "/" in name}
    assert samples.items() <= same_bytes(out).items()
    refused = cli("sample", logged, tmp_path / "no", "--log-level", "loud")
    assert refused.code == 2
    assert "--log-level" in refused.message
    assert "debug, info, warning, error" in refused.message
