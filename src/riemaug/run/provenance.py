"""What run.json, run.log and the report say of where samples come from."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from riemaug._version import __version__
from riemaug.class_model import ClassModel
from riemaug.run.collect import environment, peak_memory_mb
from riemaug.run.plan import Plan
from riemaug.run.reporting import dropped_copies, model_name
from riemaug.run.request import FitRequest, SampleRequest
from riemaug.serialization import FittedGenerators, classes_by_model


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
        "range": [float(dataset.samples.min()), float(dataset.samples.max())],
        "sha256": plan.fingerprint,
        "groups": None if dataset.groups is None else len(set(dataset.groups)),
    }


def provenance(
    request: FitRequest | SampleRequest,
    device: str,
    generators: FittedGenerators,
    results: Sequence[dict[str, Any]],
    seconds: float,
) -> dict[str, Any]:
    """Return what run.json holds for every job."""
    listed = {"files", "log_density", "acceptance", "start", "nearest", "nearest_distance", "real_distance"}
    per_class = [
        {k: v for k, v in result.items() if k not in listed and k != "copy"}
        | {
            "epochs": item.history.num_epochs,
            "best_elbo": item.history.best_elbo if item.history.elbo else None,  # not of an imported model
            "rollbacks": item.history.rollbacks,
            "stop_reason": item.history.stop_reason,
            "synthetic": len(result.get("files", ())),
        }
        for result, item in zip(results, generators.classes, strict=True)
    ]
    return {
        "request": request.model_dump(mode="json"),
        "environment": environment(device),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(seconds, 2),
        "peak_memory_mb": round(peak_memory_mb(), 1),
        "classes": per_class,
    }


def log_lines(
    classes: Sequence[ClassModel], results: Sequence[dict[str, Any]], notes: tuple[str, ...], seconds: float
) -> list[str]:
    """Return what run.log tells: the notes, each model's training, each class's samples."""
    lines = [f"riemaug {__version__}", *notes]
    for model in classes_by_model(classes):
        history = model[0].history
        lines.append(
            f"{model_name(model)}: {history.num_epochs} epochs in {history.seconds:.1f} s, ELBO "
            f"{history.best_elbo:.2f} ({history.stop_reason}), {sum(history.failed_steps)} failed implicit "
            f"steps, {history.rollbacks} roll-backs"
        )
    for item, result in zip(classes, results, strict=True):
        told = result["diagnostics"]["message"]
        dropped = dropped_copies(result)
        account = "" if dropped is None else f"{dropped.describe()}; "
        lines.append(f"class {item.name}: {len(result['files'])} samples; {account}{told}")
    return [*lines, f"finished in {seconds:.1f} s"]
