"""Makes `requirements.lock`: every package that `make` installs, with the hash of its file; and checks it.

    python tools/lock.py                     # writes requirements.lock from the constraints
    python tools/lock.py --check             # compares the two
    python tools/lock.py --check PYTHON      # also with what is installed beside that interpreter

The versions are those of constraints.txt and tools/build-constraints.txt; the hashes are of the files that
pip chooses for them from its configured index, for this platform and this Python alone. So the lock is for
machines like the one that made it, and the Makefile's other targets do not depend on it. torch is left out:
its build differs by machine, and is pinned by constraints.txt.
"""

import argparse
import json
import platform
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
CONSTRAINTS = (ROOT / "constraints.txt", ROOT / "tools" / "build-constraints.txt")
LOCK = ROOT / "requirements.lock"
WITHOUT_HASH = frozenset({"torch"})
"""What is pinned by version alone."""
UNPINNED = frozenset({"pip", "riemaug"})
"""What any environment has: the installer, which Python brings, and the project."""
OF_TORCH = re.compile(r"(nvidia|cuda|pytorch-triton|triton)\b.*")
"""What a build of torch for a GPU brings along; so without a pin, as its hash is."""
_PIN = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)==([A-Za-z0-9.!+_-]+)")
_LOCKED = re.compile(rf"{_PIN.pattern} \\\n((?:    --hash=sha256:[0-9a-f]{{64}}(?: \\)?\n)+)")


@dataclass(frozen=True)
class Locked:
    """A package in the lock.

    Attributes
    ----------
    version : str
    hashes : tuple of str
        SHA-256, hexadecimal.
    """

    version: str
    hashes: tuple[str, ...]


def normal(name: str) -> str:
    """Return the name of a package as packages are compared."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned() -> dict[str, str]:
    """Return the version of each package by the constraints; ValueError for a line that pins none."""
    found: dict[str, str] = {}
    for path in CONSTRAINTS:
        for line in path.read_text(encoding="utf-8").splitlines():
            text = line.partition("#")[0].strip()
            if not text:
                continue
            pin = _PIN.fullmatch(text)
            if pin is None or normal(pin[1]) in found:
                raise ValueError(f"{path.name} must pin each package once as NAME==VERSION, it has {line!r}")
            found[normal(pin[1])] = pin[2]
    return found


def locked() -> dict[str, Locked]:
    """Return what the lock holds; ValueError for anything in it but packages with hashes."""
    text = "".join(
        line for line in LOCK.read_text(encoding="utf-8").splitlines(keepends=True) if line[:1] not in "#\n"
    )
    found, rest = {}, _LOCKED.sub("", text)
    if rest:
        raise ValueError(f"{LOCK.name} must hold packages with hashes alone, it has {rest.splitlines()[0]!r}")
    for name, version, hashes in _LOCKED.findall(text):
        found[normal(name)] = Locked(version, tuple(re.findall(r"sha256:([0-9a-f]{64})", hashes)))
    return found


def make() -> str:
    """Return the text of the lock: pip chooses the files and tells their hashes, installing nothing."""
    wanted = {name: version for name, version in pinned().items() if name not in WITHOUT_HASH}
    chosen = _chosen([f"{name}=={version}" for name, version in sorted(wanted.items())])
    if missing := wanted.keys() - chosen.keys():
        raise SystemExit(f"pip chose no file for {', '.join(sorted(missing))}")
    head = (
        "# Made by `python tools/lock.py` from constraints.txt and tools/build-constraints.txt.\n"
        f"# Hashes are of the files for {platform.system()} {platform.machine()}, Python "
        f"{sys.version_info.major}.{sys.version_info.minor}, alone. torch is pinned by constraints.txt: its\n"
        "# build differs by machine.\n"
    )
    return head + "".join(
        f"{name}=={wanted[name]} \\\n    --hash=sha256:{chosen[name]}\n" for name in sorted(wanted)
    )


def _chosen(requirements: list[str]) -> dict[str, str]:
    """Return the SHA-256 of the file that pip would install for each requirement."""
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--no-deps"]
    done = subprocess.run(
        [*command, "--quiet", "--report", "-", *requirements], check=True, stdout=subprocess.PIPE, text=True
    )
    items: list[dict[str, Any]] = json.loads(done.stdout)["install"]
    return {
        normal(item["metadata"]["name"]): item["download_info"]["archive_info"]["hashes"]["sha256"]
        for item in items
    }


def faults_of_lock() -> list[str]:
    """Return in which packages lock and constraints differ."""
    wanted, held = pinned(), {name: item.version for name, item in locked().items()}
    for name in WITHOUT_HASH:
        wanted.pop(name, None)
    return _differences(wanted, held, "requirements.lock", "constraints")


def faults_of(python: Path) -> list[str]:
    """Return what is installed beside an interpreter that the constraints do not name, or name otherwise."""
    command = [str(python), "-m", "pip", "list", "--format", "json"]
    found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    installed = {normal(item["name"]): item["version"].partition("+")[0] for item in found}
    wanted = pinned()
    return [
        f"{name} {version} is installed, the constraints have {wanted.get(name, 'no such package')}"
        for name, version in sorted(installed.items())
        if name not in UNPINNED and not OF_TORCH.fullmatch(name) and wanted.get(name) != version
    ]


def _differences(one: Mapping[str, str], two: Mapping[str, str], holder: str, other: str) -> list[str]:
    return [
        f"{name}: {holder} has {two.get(name, 'none')}, {other} have {one.get(name, 'none')}"
        for name in sorted(one.keys() | two.keys())
        if one.get(name) != two.get(name)
    ]


def main() -> None:
    """Make the lock, or check it and end with status 1 where something differs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", nargs="?", const="", metavar="PYTHON")
    arguments = parser.parse_args()
    if arguments.check is None:
        LOCK.write_text(make(), encoding="utf-8")
        print(f"{len(locked())} packages in {LOCK.name}")
        return
    faults = faults_of_lock()
    if arguments.check:
        faults += faults_of(Path(arguments.check))
    for fault in faults:
        print(fault)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
