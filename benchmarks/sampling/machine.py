"""What the machine is and how fast it multiplies matrices and takes exponentials, on one thread."""

import os
import platform
from dataclasses import asdict, astuple, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import psutil
import torch

from .timing import best_of, load_average

_PRECISIONS = {"float32": torch.float32, "float64": torch.float64}
_GEMM_SIZE = 1024
_EXPONENTIALS = 120_000
_PACKAGES = ("riemaug", "torch", "numpy", "numba", "scipy", "arviz-stats")


@dataclass(frozen=True)
class Rates:
    """Rates of one precision, each per second.

    Attributes
    ----------
    gemm : float
        Flops of a square product of size 1024.
    exp_torch, exp_numpy : float
        Exponentials of 120,000 arguments in [-5, 0] that stay in cache, by either library.
    """

    gemm: float
    exp_torch: float
    exp_numpy: float

    @property
    def exp(self) -> float:
        """The better of the two rates."""
        return max(self.exp_torch, self.exp_numpy)


def describe() -> dict:
    """Return the processor, threads, memory, versions and load of this machine, as JSON values."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in _PACKAGES},
        "blas": "MKL" if torch.backends.mkl.is_available() else "other",
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "load_average": load_average(),
    }


def measure_rates(seconds: float) -> dict[str, Rates]:
    """Return the rates in float32 and float64, each the best over about `seconds`."""
    return {name: _rates(dtype, seconds) for name, dtype in _PRECISIONS.items()}


def better_rates(first: dict[str, Rates], second: dict[str, Rates]) -> dict[str, Rates]:
    """Return the higher of each rate of two measurements."""
    return {
        name: Rates(*(max(pair) for pair in zip(astuple(rates), astuple(second[name]), strict=True)))
        for name, rates in first.items()
    }


def rates_as_json(rates: dict[str, Rates]) -> dict[str, dict[str, float]]:
    """Return the rates as plain values."""
    return {name: asdict(rate) for name, rate in rates.items()}


def _rates(dtype: torch.dtype, seconds: float) -> Rates:
    generator = torch.Generator().manual_seed(0)
    left, right = torch.randn(2, _GEMM_SIZE, _GEMM_SIZE, generator=generator, dtype=dtype)
    product = torch.empty_like(left)
    arguments = -5.0 * torch.rand(_EXPONENTIALS, generator=generator, dtype=dtype)
    values = torch.empty_like(arguments)
    gemm = best_of(lambda: torch.mm(left, right, out=product), seconds)
    by_torch = best_of(lambda: torch.exp(arguments, out=values), 0.2 * seconds)
    plain, target = arguments.numpy(), values.numpy()
    by_numpy = best_of(lambda: np.exp(plain, out=target), 0.2 * seconds)
    return Rates(2.0 * _GEMM_SIZE**3 / gemm, _EXPONENTIALS / by_torch, _EXPONENTIALS / by_numpy)


def _processor() -> str:
    """Return the processor's name as the system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    families = [line.split(":", 1)[1].strip() for line in lines if line.startswith("cpu family")]
    if not names:
        return platform.processor() or platform.machine()
    return f"{names[0]} (family {families[0]})" if families else names[0]


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
