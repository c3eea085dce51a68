"""`riemaug doctor`: what is there, what is missing, and what to do about it."""

import os

import numpy as np
import pytest
import torch
from cli_runs import CONTROL, run_for_real

import riemaug
from riemaug.diagnosis import diagnose, memory, warnings_about


def test_the_doctor_tells_what_is_there(cli):
    done = cli("doctor", "--json")
    assert done.code == 0
    told = done.document
    assert told["riemaug"] == riemaug.__version__
    assert told["packages"]["numpy"] == np.__version__
    assert told["packages"]["torch"] == torch.__version__
    assert told["devices"][0]["name"] == "cpu"
    assert 1 <= told["cores"]["usable"] <= told["cores"]["machine"]
    assert 0 < told["memory"]["free"] <= told["memory"]["machine"]
    assert told["temporary_folder"]["writable"]
    assert told["extras"]["nifti"]["install"] == "pip install 'riemaug[nifti]'"
    assert "nibabel" in told["extras"]["nifti"]["packages"]
    assert not {"dev", "test", "all"} & set(told["extras"])


def test_the_doctor_speaks_plain_text(cli):
    done = cli("doctor")
    assert done.code == 0
    assert not CONTROL.search(done.out.replace("\n", ""))
    assert f"numpy {np.__version__}" in done.out
    assert "device: cpu" in done.out


def test_amiss_is_told_in_words_and_ends_with_0(tmp_path):
    wrong = {**os.environ, "RIEMAUG_DATA": str(tmp_path / "nowhere"), "NUMBA_DISABLE_JIT": "1"}
    done = run_for_real("doctor", "--quiet", env=wrong)
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert all(line.startswith("warning: ") for line in lines)
    assert any("nowhere" in line and "RIEMAUG_DATA" in line for line in lines)
    assert any("NUMBA_DISABLE_JIT" in line for line in lines)


@pytest.fixture(scope="module")
def found():
    return diagnose()


def sound(found):
    """Return what was found with nothing amiss, whatever machine this is."""
    return {
        **found,
        "devices": [{"name": "cpu", "what": "", "computes": True}],
        "memory": {"machine": 64 * 10**9, "free": 32 * 10**9, "limit": None},
        "environment": {},
        "temporary_folder": {"path": "/t", "writable": True, "free": 10**11},
    }


def test_nothing_amiss_gives_no_warning(found):
    assert warnings_about(sound(found)) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"packages": {"torch": None}}, "torch is not installed"),
        ({"devices": [{"name": "cuda:0", "what": "a card", "computes": False}]}, "--device cpu"),
        ({"memory": {"machine": 64 * 10**9, "free": 10**8, "limit": None}}, "0.1 GB of memory are free"),
        ({"temporary_folder": {"path": "/t", "writable": False, "why": "No space"}}, "set TMPDIR"),
        ({"temporary_folder": {"path": "/t", "writable": True, "free": 10**7}}, "0.01 GB are free in /t"),
    ],
)
def test_each_fault_gives_one_warning(found, change, told):
    (warning,) = warnings_about(sound(found) | change)
    assert told in warning


def test_memory_of_a_container_is_what_counts(tmp_path):
    (tmp_path / "memory.max").write_text("1000000000\n")
    (tmp_path / "memory.current").write_text("400000000\n")
    assert memory(tmp_path)["limit"] == 10**9
    assert memory(tmp_path)["free"] <= 6 * 10**8
    (tmp_path / "memory.stat").write_text("anon 1\ninactive_file 300000000\n")
    assert 6 * 10**8 < memory(tmp_path)["free"] <= 9 * 10**8  # cached files are given up when needed
    (tmp_path / "memory.max").write_text("max\n")
    assert memory(tmp_path)["limit"] is None


def test_memory_of_an_older_container_is_what_counts(tmp_path):
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text("1000000000\n")
    (tmp_path / "memory" / "memory.usage_in_bytes").write_text("400000000\n")
    assert memory(tmp_path)["free"] <= 6 * 10**8
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text(f"{2**63 - 4096}\n")
    assert memory(tmp_path)["limit"] is None
