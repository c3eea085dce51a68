"""requirements.lock: all that the constraints name but torch, each with its hash, and nothing else."""

import re
from pathlib import Path

import pytest
from tools import lock

ROOT = Path(__file__).resolve().parents[2]


def test_lock_and_constraints_agree_and_every_entry_has_a_hash():
    assert lock.faults_of_lock() == []
    held = lock.locked()
    assert "torch" not in held
    assert len(held) > 100
    assert all(item.hashes for item in held.values())


def test_the_lock_names_its_platform_and_no_place_that_files_come_from():
    text = lock.LOCK.read_text(encoding="utf-8")
    assert re.search(r"^# Hashes are of the files for \w+ \w+, Python 3\.\d+", text, re.M)
    assert "://" not in text
    assert "--index-url" not in text
    assert "--find-links" not in text


def test_differences_are_told(tmp_path, monkeypatch):
    text = lock.LOCK.read_text(encoding="utf-8")
    other = re.sub(r"^numpy==\S+", "numpy==1.0", text, flags=re.M)
    other = re.sub(r"^rich==\S+ \\\n.*\n", "", other, flags=re.M)
    changed = tmp_path / "requirements.lock"
    changed.write_text(other, encoding="utf-8")
    monkeypatch.setattr(lock, "LOCK", changed)
    numpy, rich = lock.faults_of_lock()
    assert numpy.startswith("numpy: requirements.lock has 1.0, constraints have ")
    assert rich.startswith("rich: requirements.lock has none, ")


@pytest.mark.parametrize(
    "line",
    [
        "rich==15.0.0\n",
        "rich==15.0.0 \\\n    --hash=sha256:12\n",
        "--index-url=https://x.example/\n",
        "rich>=1 \\\n    --hash=sha256:" + "0" * 64 + "\n",
    ],
)
def test_anything_but_packages_with_hashes_is_refused(tmp_path, monkeypatch, line):
    changed = tmp_path / "requirements.lock"
    changed.write_text(line, encoding="utf-8")
    monkeypatch.setattr(lock, "LOCK", changed)
    with pytest.raises(ValueError, match="packages with hashes alone"):
        lock.locked()


def test_a_package_that_is_not_pinned_is_found(monkeypatch):
    import sys

    known = lock.pinned()
    monkeypatch.setattr(lock, "pinned", lambda: {k: v for k, v in known.items() if k != "numpy"})
    assert any(fault.startswith("numpy ") for fault in lock.faults_of(Path(sys.executable)))
