"""What is in a data set, a model folder, or anything else that riemaug or a peer of it made."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from riemaug.errors import InvalidInputError

if TYPE_CHECKING:
    from riemaug.data import Dataset
    from riemaug.data.table_layout import TableLayout


def summarise(path: Path, **reading: Any) -> dict[str, Any]:
    """Return a JSON-safe summary of whatever `path` is.

    Parameters
    ----------
    path : Path
    **reading
        How to read a data set; see `riemaug.data.read_dataset`.

    Raises
    ------
    InvalidInputError
        It is neither a data set nor something that riemaug made.
    """
    from riemaug.evaluation.outcome import RESULT_NAME
    from riemaug.importing.peer_folder import peer_folder
    from riemaug.run.interpolate import DOCUMENT_NAME
    from riemaug.run.workdir import unfinished_run
    from riemaug.serialization import DESCRIPTION_NAME

    if unfinished_run(path):
        return _summarise_unfinished(path)
    if any((path / name).is_file() for name in ("manifest.csv", "manifest.parquet")):
        return _summarise_output(path)
    if (path / DESCRIPTION_NAME).is_file():
        return _summarise_model(path)
    if (path / RESULT_NAME).is_file():
        return _summarise_evaluation(path / RESULT_NAME)
    if (path / DOCUMENT_NAME).is_file():
        return _summarise_interpolation(path / DOCUMENT_NAME)
    if peer_folder(path) is not None:
        return _summarise_peer(path)
    return _summarise_data(path, reading)


def _summarise_unfinished(path: Path) -> dict[str, Any]:
    from riemaug.run.progress import read_progress
    from riemaug.run.workdir import WORK_NAME

    told = [read_progress(file) for file in sorted((path / WORK_NAME).rglob("*.progress.json"))]
    return {
        "kind": "unfinished run",
        "to finish it": "repeat its command with --resume",
        "classes begun": [{"class": item.name, "at": item.stage} for item in told if item is not None],
    }


def _summarise_data(path: Path, reading: dict[str, Any]) -> dict[str, Any]:
    from riemaug.data import read_dataset

    dataset = read_dataset(path, **reading)
    return {
        "kind": "data set",
        "samples": len(dataset.samples),
        **(_of_values(dataset) if dataset.format.table is None else _columns(dataset.format.table)),
        "sha256": dataset.fingerprint(),
        "classes": [
            {"class": name, "samples": count}
            for name, count in zip(dataset.class_names, dataset.counts, strict=True)
        ],
        "notes": list(dataset.notes),
    }


def _of_values(dataset: "Dataset") -> dict[str, Any]:
    fmt = dataset.format
    resolution = {} if fmt.resolution is None else {"resolution": fmt.resolution.describe()}
    voxel = {} if fmt.grid is None else {"voxel": fmt.grid.describe_voxel()}
    return {
        "shape": "x".join(map(str, fmt.shape)),
        **resolution,
        **voxel,
        "dtype": fmt.dtype,
        "range": "{} to {}".format(*dataset.value_range()),
    }


def _columns(table: "TableLayout") -> dict[str, Any]:
    """Return what the columns of a table are: one shape, dtype and range of all would say nothing."""
    columns = [
        {"column": column.name, "dtype": column.dtype, "numbers": column.width}
        for column in table.plan.columns
    ]
    return {
        "numbers a row": table.plan.num_numbers,
        "label column": table.label.name,
        "columns": columns,
    }


def _summarise_model(path: Path) -> dict[str, Any]:
    from riemaug.serialization import class_entries, read_description

    description = read_description(path)
    classes = list(class_entries(description))
    return {
        "kind": "model",
        "made by": f"riemaug {description['riemaug_version']}",
        "model": _model_line(description["models"]),
        "makes": _made(description["sample_format"]),
        "tensors sha256": description["tensors_sha256"],
        "trained on sha256": description["data_sha256"],
        "reveals": description["reveals"],
        "classes": [
            {
                "class": entry["name"],
                "trained on": size or "unknown",
                **_training_of(model["history"]),
            }
            for (entry, model), size in zip(classes, description["class_sizes"], strict=True)
        ],
    }


def _training_of(history: dict[str, Any]) -> dict[str, Any]:
    """Return how a training went; of one that was not ours how the model came here."""
    if not history["elbo"]:
        return {"training": history["stop_reason"] or "unknown"}
    return {"epochs": len(history["elbo"]), "ELBO": history["best_elbo"]}


def _made(fields: dict[str, Any]) -> str:
    """Return in words which samples a model makes."""
    shape = "x".join(map(str, fields["shape"]))
    return f"{fields['kind']} of {shape} {fields['dtype']} {fields['suffix']}".strip()


def _model_line(models: list[dict[str, Any]]) -> str:
    first = models[0]["model"] if models else {}
    line = f"{first.get('kind')}, d = {first.get('latent_dim')}, D = {first.get('data_dim')}"
    if first.get("network", "mlp") != "mlp":
        line += f", {first['network']} networks"
    shared = [len(model["classes"]) for model in models if len(model["classes"]) > 1]
    return line + (f", one model that {shared[0]} classes share" if shared else "")


def _summarise_output(path: Path) -> dict[str, Any]:
    import collections

    from riemaug.data.manifest_files import CSV_MANIFEST, find_manifest, manifest_rows

    made, flags = collections.Counter[str](), collections.Counter[str]()
    seeds, models = set[int](), set[str]()
    for row in manifest_rows(find_manifest(path) or path / CSV_MANIFEST):
        made[row.class_name] += 1
        flags[row.copy] += 1
        models.add(row.model_hash)
        if row.seed is not None:
            seeds.add(row.seed)
    summary: dict[str, Any] = {
        "kind": "output",
        "samples": made.total(),
        "seeds": sorted(seeds),
        "model": ", ".join(sorted(models)),
        "copies": {flag or "not compared": count for flag, count in flags.items()},
        "report": str(path / "report.html") if (path / "report.html").is_file() else "none",
        "classes": [{"class": name, "synthetic": count} for name, count in sorted(made.items())],
    }
    return summary


def _read_json(path: Path) -> dict[str, Any]:
    from riemaug.limits import JSON_BYTES, read_bounded

    try:
        content = json.loads(read_bounded(path, JSON_BYTES, path.name))
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(
            f"a file that riemaug wrote must be whole, {str(path)!r} is not ({error}): make it again"
        ) from None
    return content if isinstance(content, dict) else {}


def _summarise_evaluation(path: Path) -> dict[str, Any]:
    content = _read_json(path)
    settings = content.get("settings", {})
    return {
        "kind": "evaluation",
        "classifiers": ", ".join(settings.get("classifiers", ())) or "none",
        "trainings": len(content.get("runs", ())),
        "verdicts": [verdict["words"] for verdict in content.get("verdicts", ())],
        "copying": [text for report in content.get("copying", ()) for text in report.get("findings", ())],
        "notes": list(content.get("notes", ())),
    }


def _summarise_interpolation(path: Path) -> dict[str, Any]:
    content = _read_json(path)
    return {
        "kind": "interpolation",
        "class": content.get("class"),
        "steps": content.get("steps"),
        "converged": content.get("converged"),
        "length": {
            name.replace("_", " "): content.get(name, {}).get("length")
            for name in ("geodesic", "straight_line")
        },
        "model": content.get("model_sha256"),
        "files": len(content.get("files", ())),
    }


def _summarise_peer(path: Path) -> dict[str, Any]:
    from riemaug.importing.peer_folder import read_peer_folder

    peer = read_peer_folder(path)
    return {
        "kind": f"model of {peer.library}",
        "model": f"{peer.kind}, d = {peer.latent_dim}, samples of {'x'.join(map(str, peer.input_dim))}",
        "centroids": 0 if peer.metric is None else len(peer.metric.centroids),
        "networks": "of its user's own" if peer.is_custom else "the default ones",
        "to use it": "riemaug import CLASS=FOLDER MODEL",
    }
