"""What this installation has to work with: versions, devices, cores, memory, extras, folders."""

import importlib.metadata
import os
import platform
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import joblib
import psutil
import torch

from riemaug._version import __version__
from riemaug.free_memory import CGROUP, free_memory, memory_limit

VARIABLES = (
    "CUDA_VISIBLE_DEVICES",
    "JOBLIB_TEMP_FOLDER",
    "LOKY_MAX_CPU_COUNT",
    "MKL_NUM_THREADS",
    "NO_COLOR",
    "NUMBA_CACHE_DIR",
    "NUMBA_DISABLE_JIT",
    "NUMBA_NUM_THREADS",
    "OMP_NUM_THREADS",
    "PYTORCH_CUDA_ALLOC_CONF",
    "TMPDIR",
)
"""Environment variables that change how riemaug runs, beside all whose names begin with RIEMAUG."""
MAKERS_EXTRAS = frozenset({"all", "dev", "docs", "test"})
"""Extras for those who change riemaug, not for those who use it."""
LITTLE_MEMORY, LITTLE_DISK = 1e9, 1e9
"""Bytes free below which a warning is given."""


def diagnose() -> dict[str, Any]:
    """Return what there is to work with, as JSON types, with warnings in words.

    Returns
    -------
    dict
        "riemaug", "python", "platform": versions. "packages": name to version, None where one is missing.
        "devices": name, what it is, its memory, whether it computes. "cores", "threads", "memory" (bytes),
        "extras", "environment", "temporary_folder", and "warnings": a list of sentences.
    """
    found = {
        "riemaug": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": _packages(),
        "devices": _devices(),
        "cores": _cores(),
        "threads": {"torch": torch.get_num_threads()},
        "memory": memory(),
        "extras": _extras(),
        "environment": _environment(os.environ),
        "temporary_folder": _temporary_folder(),
    }
    return {**found, "warnings": warnings_about(found)}


def _requirements() -> list[tuple[str, str | None]]:
    """Return each package that riemaug declares, with the extra that it belongs to; None for those of all."""
    try:
        declared = importlib.metadata.requires("riemaug") or []
    except importlib.metadata.PackageNotFoundError:
        return []
    found = []
    for line in declared:
        name = re.match(r"[\w.-]+", line)
        extra = re.search(r"""extra\s*==\s*["']([^"']+)["']""", line)
        if name is not None:
            found.append((name[0], extra[1] if extra else None))
    return found


def _version_of(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _packages() -> dict[str, str | None]:
    return {name: _version_of(name) for name, extra in _requirements() if extra is None}


def _extras() -> dict[str, dict[str, Any]]:
    """Return the extras of users: what each needs, whether it is there, how to install it."""
    needed: dict[str, list[str]] = {}
    for name, extra in _requirements():
        if extra is not None and extra not in MAKERS_EXTRAS:
            needed.setdefault(extra, []).append(name)
    return {
        extra: {
            "packages": {name: _version_of(name) for name in names},
            "installed": all(_version_of(name) is not None for name in names),
            "install": f"pip install 'riemaug[{extra}]'",
        }
        for extra, names in sorted(needed.items())
    }


def _devices() -> list[dict[str, Any]]:
    devices = [{"name": "cpu", "what": platform.processor() or platform.machine(), "computes": True}]
    if not torch.cuda.is_available():
        return devices
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        devices.append(
            {
                "name": f"cuda:{index}",
                "what": properties.name,
                "memory": properties.total_memory,
                "computes": _computes(f"cuda:{index}"),
            }
        )
    return devices


def _computes(device: str) -> bool:
    """Return whether a sum on the device comes out right: a driver may be there that does not fit."""
    try:
        return torch.arange(4.0, device=device).sum().item() == 6.0
    except RuntimeError:
        return False


def _cores() -> dict[str, int]:
    # joblib looks at affinity, at the share of a container and at LOKY_MAX_CPU_COUNT
    return {"usable": joblib.cpu_count(), "machine": os.cpu_count() or 1}


def memory(cgroup: Path = CGROUP) -> dict[str, int | None]:
    """Return bytes of memory: of the machine, free now, and the limit of a container or scheduler if any."""
    total, limit = psutil.virtual_memory().total, memory_limit(cgroup)
    return {
        "machine": total,
        "free": free_memory(cgroup),
        "limit": None if limit is None or limit >= total else limit,
    }


def _environment(variables: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in sorted(variables.items())
        if name in VARIABLES or name.startswith("RIEMAUG")
    }


def _temporary_folder() -> dict[str, Any]:
    try:
        folder = tempfile.gettempdir()
        with tempfile.NamedTemporaryFile(prefix="riemaug-") as file:
            file.write(b"\0")
            file.flush()
        return {"path": folder, "writable": True, "free": shutil.disk_usage(folder).free}
    except OSError as error:
        return {"path": os.environ.get("TMPDIR", "none"), "writable": False, "why": str(error.strerror)}


def warnings_about(found: Mapping[str, Any]) -> list[str]:
    """Return what is likely to go wrong with what `diagnose` found, and what to do, a sentence each."""
    warnings = [
        f"{name} is not installed, although riemaug needs it: install riemaug again"
        for name, version in found["packages"].items()
        if version is None
    ]
    warnings += [
        f"{device['name']} ({device['what']}) is there but cannot compute: PyTorch and the driver do not fit "
        "together; use --device cpu, or install another PyTorch"
        for device in found["devices"]
        if not device["computes"]
    ]
    return warnings + _warnings_about_room(found) + _warnings_about_variables(found["environment"])


def _warnings_about_room(found: Mapping[str, Any]) -> list[str]:
    warnings, room, place = [], found["memory"], found["temporary_folder"]
    if room["free"] < LITTLE_MEMORY:
        warnings.append(
            f"only {room['free'] / 1e9:.1f} GB of memory are free: use --jobs 1, and --fit-shape for large "
            "samples"
        )
    if not place["writable"]:
        warnings.append(
            f"temporary files cannot be written to {place['path']} ({place['why']}): set TMPDIR to a folder "
            "that can be written to"
        )
    elif place["free"] < LITTLE_DISK:
        warnings.append(
            f"only {place['free'] / 1e9:.2f} GB are free in {place['path']}, where several jobs share their "
            "data: set TMPDIR or JOBLIB_TEMP_FOLDER to a larger disk"
        )
    return warnings


def _warnings_about_variables(variables: Mapping[str, str]) -> list[str]:
    warnings = []
    folder = variables.get("RIEMAUG_DATA")
    if folder is not None and not Path(folder).is_dir():
        warnings.append(f"RIEMAUG_DATA names {folder!r}, which is no folder: correct or unset it")
    if variables.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"):
        warnings.append("NUMBA_DISABLE_JIT makes sampling many times slower: unset it")
    return warnings
