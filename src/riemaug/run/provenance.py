"""What run.json and the report say of where samples come from."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from riemaug.run.collect import environment
from riemaug.run.plan import Plan
from riemaug.run.request import FitRequest, SampleRequest
from riemaug.serialization import FittedGenerators


def fingerprint(plan: Plan) -> dict[str, Any]:
    """Return what run.json and the report tell of the data."""
    dataset, table = plan.dataset, plan.dataset.format.table
    columns = {} if table is None else {"columns": list(map(str, table.plan.names))}
    return {
        "samples": len(dataset.samples),
        "classes": dict(zip(dataset.class_names, dataset.counts, strict=True)),
        **columns,
        "shape": list(dataset.format.shape),
        "model shape": list(dataset.format.model_shape),
        "dtype": dataset.format.dtype,
        "range": [float(value) for value in dataset.value_range()],
        "sha256": plan.fingerprint,
        "groups": None if dataset.groups is None else len(set(dataset.groups)),
    }


def provenance(
    request: FitRequest | SampleRequest,
    device: str,
    generators: FittedGenerators,
    results: Sequence[dict[str, Any]],
    taken: dict[str, Any],
) -> dict[str, Any]:
    """Return what run.json holds for every job; `taken` is of `riemaug.run.parts.summary`."""
    listed = {"first_files", "nearest", "nearest_distance", "real_distance", "copies"}
    per_class = [
        {k: v for k, v in result.items() if k not in listed}
        | {
            "epochs": item.history.num_epochs,
            "best_elbo": item.history.best_elbo if item.history.elbo else None,  # not of an imported model
            "rollbacks": item.history.rollbacks,
            "stop_reason": item.history.stop_reason,
            "synthetic": result.get("synthetic", 0),
        }
        for result, item in zip(results, generators.classes, strict=True)
    ]
    return {
        "request": request.model_dump(mode="json"),
        "environment": environment(device),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        **taken,
        "classes": per_class,
    }
