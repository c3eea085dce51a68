import numpy as np
import pytest

from riemaug.report import ClassReport, LatentMap, ReportData

HOSTILE = "<script>document.title='owned'</script>\"><img src=x onerror=alert(1)>"
UNFRIENDLY = "שלום \u202eevil 🫀 \udcff\x07 " + "x" * 300


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def pictures(rng, number, size=8, channels=()):
    return rng.integers(0, 256, (number, size, size, *channels), dtype=np.uint8)


@pytest.fixture
def latent(rng):
    x, y = np.linspace(-3, 3, 20), np.linspace(-2, 2, 15)
    radius = np.hypot(*np.meshgrid(x, y))
    path = np.stack([np.linspace(0, 1, 9), np.linspace(0, 1, 9) ** 2], axis=1)
    return LatentMap(
        x=x,
        y=y,
        log_volume=radius,
        inside_support=radius < 1.8,
        centroids=rng.normal(size=(12, 2)),
        draws=rng.normal(size=(50, 2)),
        geodesics=(path, -path),
        starts=np.zeros((2, 2)),
        velocities=np.array([[1.0, 0.0], [-1.0, 0.0]]),
    )


@pytest.fixture
def image_class(rng, latent):
    return ClassReport(
        name=HOSTILE,
        num_real=12,
        num_synthetic=200,
        real=pictures(rng, 12),
        synthetic=pictures(rng, 6),
        nearest=pictures(rng, 6),
        synthetic_names=tuple(f"new-{number}.png" for number in range(6)),
        nearest_names=tuple(f"scan-{number}.png" for number in range(6)),
        nearest_distances=rng.uniform(2, 5, 200),
        real_nearest_distances=rng.uniform(2, 5, 12),
        curves={"elbo": -np.geomspace(500, 90, 60), "kl": np.linspace(1, 9, 60)},
        best_epoch=50,
        stop_reason="the ELBO stopped rising",
        latent=latent,
        diagnostics={"converged": True, "acceptance": 0.95, "rhat": None, "flat_mass": 0.002},
        seconds={"fit": 3.0, "sample": 0.5, "write": 0.1},
    )


@pytest.fixture
def color_class(rng):
    return ClassReport(
        name=UNFRIENDLY,
        num_real=5,
        num_synthetic=4,
        real=pictures(rng, 5, 40, (3,)),
        synthetic=pictures(rng, 4, 40, (3,)),
        nearest=pictures(rng, 4, 40, (3,)),
        nearest_distances=np.array([1.0, np.nan, 3.0, 2.0]),
        copies_near=1,
        curves={"elbo": np.full(5, np.nan)},
        diagnostics={"converged": False, "message": "run more steps", "rhat": 1.2, "khat": float("nan")},
    )


@pytest.fixture
def table_class():
    return ClassReport(name="no pictures", num_real=3, num_synthetic=7)


@pytest.fixture
def report(image_class, color_class, table_class):
    return ReportData(
        title="A report",
        created="2026-01-02 03:04 UTC",
        version="0.1.0",
        command=f"riemaug augment '{HOSTILE}' out",
        config={"latent_dim": 2, "training": {"epochs": 60, "note": HOSTILE}, "resize": None},
        seed=7,
        classes=(image_class, color_class, table_class),
        notes=(f"skipped {HOSTILE}",),
        fingerprint={"n": 20, "shape": "8 x 8", "sha256": "ab" * 32},
        sampler="mixture",
        model="rhvae",
        model_hash="cd" * 32,
        total_seconds=12.0,
        environment={"python": "3.11", "threads": 1},
    )
