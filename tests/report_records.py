"""Records of a report made up for tests: hostile names, a map, volumes, an evaluation."""

from dataclasses import replace

import numpy as np

from riemaug.evaluation.outcome import Evaluation
from riemaug.evaluation.runs import Run
from riemaug.evaluation.scores import ClassificationScores
from riemaug.evaluation.verdict import Difference, Verdict
from riemaug.report import ClassReport, LatentMap, ReportData, Volumes
from riemaug.report.columns import Columns, category_column, number_column

HOSTILE = "<script>document.title='owned'</script>\"><img src=x onerror=alert(1)>"
UNFRIENDLY = "שלום \u202eevil 🫀 \udcff\x07 " + "x" * 300
DECODED_SIDE = 6


def pictures(rng, number, size=8, channels=()):
    return rng.integers(0, 256, (number, size, size, *channels), dtype=np.uint8)


def latent_map(rng, decoded=True):
    """A map whose decoded images are flat: node (column, row) has the grey value 40 column + row."""
    x, y = np.linspace(-3, 3, 20), np.linspace(-2, 2, 15)
    radius = np.hypot(*np.meshgrid(x, y))
    path = np.stack([np.linspace(0, 1, 9), np.linspace(0, 1, 9) ** 2], axis=1)
    rows, columns = np.divmod(np.arange(DECODED_SIDE**2), DECODED_SIDE)
    greys = (40 * columns + rows).astype(np.uint8)
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
        decoded=np.repeat(greys, 64).reshape(-1, 8, 8) if decoded else None,
    )


def image_class(rng):
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
        latent=latent_map(rng),
        diagnostics={"converged": True, "acceptance": 0.95, "rhat": None, "flat_mass": 0.002},
        seconds={"fit": 3.0, "sample": 0.5, "write": 0.1},
    )


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


def volume_class():
    """Volumes whose slices across the first axis are flat, 5 times as bright as their number."""
    depth, height, width = 20, 24, 16
    slices = 5 * np.arange(depth, dtype=np.uint8)[:, None, None]
    volume = np.broadcast_to(slices, (depth, height, width)).astype(np.uint8)
    shown = np.stack([volume, volume[::-1]])
    return ClassReport(
        name="volumes",
        num_real=3,
        num_synthetic=2,
        synthetic=shown[:, 10],
        nearest=shown[:, 4],
        synthetic_names=(f"{HOSTILE}.nii.gz", "second.nii.gz"),
        nearest_names=("one.nii.gz", "two.nii.gz"),
        nearest_distances=np.array([1.0, 2.0]),
        volumes=Volumes(
            synthetic=shown, nearest=shown[::-1], axes=("head to feet", "front to back", "left to right")
        ),
    )


def columns_class(rng, rows=40):
    """A table of 33 columns of numbers, which move further apart one by one, and one of categories."""
    numbers = [
        number_column(f"number {shift:02d}", rng.normal(shift / 10, 1, 60), rng.normal(0, 1, rows), 3)
        for shift in range(32)
    ]
    numbers.append(number_column(HOSTILE, rng.normal(9, 1, 60), rng.normal(0, 1, rows), 3))
    levels = (f"{HOSTILE} of a category", UNFRIENDLY, "usual")
    shares = category_column("kind", levels, rng.integers(0, 2, 60), rng.integers(1, 3, rows))
    return ClassReport(
        name="a table",
        num_real=rows,
        num_synthetic=60,
        columns=Columns(compared=(*numbers, shares), num_real=rows, num_synthetic=60, num_constant=2),
    )


def report(*classes, **more):
    return ReportData(
        title="A report",
        created="2026-01-02 03:04 UTC",
        version="0.1.0",
        command=f"riemaug augment '{HOSTILE}' out",
        config={"latent_dim": 2, "training": {"epochs": 60, "note": HOSTILE}, "resize": None},
        seed=7,
        classes=classes,
        notes=(f"skipped {HOSTILE}",),
        fingerprint={"samples": 20, "classes": {HOSTILE: 12}, "shape": [8, 8], "sha256": "ab" * 32},
        sampler="mixture",
        model="rhvae",
        model_hash="cd" * 32,
        total_seconds=12.0,
        environment={"python": "3.11", "threads": 1},
        **more,
    )


def verdict(mean, low=None, high=None, changed=50, reason="", classifier="logistic", sets=("both", "real")):
    return Verdict(classifier, *sets, Difference(mean, 0.01, 9.0, low, high, changed, reason), 5)


def evaluation(*comparisons, **changes):
    """An evaluation as `riemaug evaluate` makes one; by default of samples that help."""
    near = {"precision": 0.93, "recall": 0.4, "density": 1.1, "coverage": 0.6, "expected_coverage": 0.95}
    measures = {
        "neighbourhoods": near,
        "kid": {"value": 0.01, "standard_error": 0.002},
        "mmd": {"p_value": 0.3},
        "two_sample": {"auc": 0.8, "p_value": 0.01},
        "frechet": {"value": 0.5, "note": ""},
    }
    fidelity = {
        "feature_space": "pixels",
        "compared_with": "test samples",
        "num_real": 90,
        "overall": measures,
        "per_class": {HOSTILE: measures},
        "notes": [],
    }
    copying = {
        "num_exact": 1,
        "num_near": 3,
        "num_synthetic": 211,
        "num_near_reference": 0,
        "num_reference": 90,
        "share_closer": 0.02,
        "expected_share_closer": 0.01,
        "membership": None,
        "findings": ["1 of 211 synthetic samples equals a training sample."],
        "notes": [],
    }
    settings = {
        "riemaug_version": "0.1.0",
        "classifiers": ["logistic"],
        "trained_on": ["real", "both"],
        "folds": 0,
        "seeds": 5,
        "classic": "x5",
        "samples": [{"training": [16], "validation": [4], "synthetic": [211], "test": [90]}],
        "training_sizes": [{"real": 20, "both": 231}],
    }
    scores = ClassificationScores(0.9, 0.9, 0.9, 0.95, 0.05, 0.1)
    runs = tuple(
        Run("logistic", trained_on, 0, 0, 20, scores, np.ones(90, bool)) for trained_on in ("real", "both")
    )
    made = Evaluation(
        runs=runs,
        comparisons=comparisons or (verdict(0.023, 0.008, 0.039),),
        fidelity=(fidelity,),
        copying=(copying,),
        notes=(f"a note on {HOSTILE}",),
        settings=settings,
    )
    return replace(made, **changes)
