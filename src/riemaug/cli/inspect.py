"""`riemaug inspect`: what is in a data set, a model folder or an output."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from riemaug.cli import options
from riemaug.cli.text import printable

if TYPE_CHECKING:
    from riemaug.data import SampleFormat


def inspect(
    path: Annotated[
        Path, typer.Argument(help="A data set, a model folder or an output.", show_default=False)
    ],
    resize: options.Resize = None,
    pad: options.Pad = False,
    crop: options.Crop = False,
    fit_shape: options.FitShape = None,
    skip_bad: options.SkipBad = False,
    group_from: options.GroupFrom = None,
    label_from: options.LabelFrom = None,
    drop_columns: options.DropColumns = None,
    json: options.Json = False,
) -> None:
    """Say what is in PATH: a data set, a model, or the output of a run.

    Example: riemaug inspect scans/
    """
    summary = summarise(
        path,
        resize=options.parse_size(resize),
        pad=pad,
        crop=crop,
        fit_shape=options.parse_fit_shape(fit_shape),
        skip_bad=skip_bad,
        group_from=group_from,
        label_from=label_from,
        drop_columns=options.parse_columns(drop_columns),
    )
    if json:
        import json as json_module

        typer.echo(json_module.dumps(summary))
        return
    for key, value in summary.items():
        if value == []:
            continue
        if isinstance(value, list):
            typer.echo(f"{key}:")
            for item in value:
                typer.echo(f"  {printable(_line(item))}")
        else:
            typer.echo(f"{key}: {printable(_line(value))}")


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
    from riemaug.run.workdir import unfinished_run
    from riemaug.serialization import DESCRIPTION_NAME

    if unfinished_run(path):
        return _summarise_unfinished(path)
    if (path / "manifest.csv").is_file():
        return _summarise_output(path)
    if (path / DESCRIPTION_NAME).is_file():
        return _summarise_model(path)
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
        "shape": "x".join(map(str, dataset.format.shape)),
        **_columns(dataset.format),
        "dtype": dataset.format.dtype,
        "range": f"{dataset.samples.min()} to {dataset.samples.max()}",
        "sha256": dataset.fingerprint(),
        "classes": [
            {"class": name, "samples": count}
            for name, count in zip(dataset.class_names, dataset.counts, strict=True)
        ],
        "notes": list(dataset.notes),
    }


def _columns(fmt: "SampleFormat") -> dict[str, Any]:
    """Return what the columns of a table are; nothing of other data."""
    if fmt.table is None:
        return {}
    columns = [
        {"column": column.name, "dtype": column.dtype, "numbers": column.width}
        for column in fmt.table.plan.columns
    ]
    return {"label column": fmt.table.label.name, "columns": columns}


def _summarise_model(path: Path) -> dict[str, Any]:
    from riemaug.serialization import class_entries, read_description

    description = read_description(path)
    classes = list(class_entries(description))
    return {
        "kind": "model",
        "made by": f"riemaug {description['riemaug_version']}",
        "model": _model_line(description["models"]),
        "tensors sha256": description["tensors_sha256"],
        "trained on sha256": description["data_sha256"],
        "reveals": description["reveals"],
        "classes": [
            {
                "class": entry["name"],
                "trained on": size,
                "epochs": len(model["history"]["elbo"]),
                "ELBO": model["history"]["best_elbo"],
            }
            for (entry, model), size in zip(classes, description["class_sizes"], strict=True)
        ],
    }


def _model_line(models: list[dict[str, Any]]) -> str:
    first = models[0]["model"] if models else {}
    line = f"{first.get('kind')}, d = {first.get('latent_dim')}, D = {first.get('data_dim')}"
    if first.get("network", "mlp") != "mlp":
        line += f", {first['network']} networks"
    shared = [len(model["classes"]) for model in models if len(model["classes"]) > 1]
    return line + (f", one model that {shared[0]} classes share" if shared else "")


def _summarise_output(path: Path) -> dict[str, Any]:
    import collections

    from riemaug.data import read_manifest

    rows = read_manifest(path / "manifest.csv")
    made = collections.Counter(row.class_name for row in rows)
    flags = collections.Counter(row.copy for row in rows)
    summary: dict[str, Any] = {
        "kind": "output",
        "samples": len(rows),
        "seeds": sorted({row.seed for row in rows if row.seed is not None}),
        "model": ", ".join(sorted({row.model_hash for row in rows})),
        "copies": {flag or "not compared": count for flag, count in flags.items()},
        "report": str(path / "report.html") if (path / "report.html").is_file() else "none",
        "classes": [{"class": name, "synthetic": count} for name, count in sorted(made.items())],
    }
    return summary


def _line(item: Any) -> str:
    if isinstance(item, dict):
        return ", ".join(f"{key} {value}" for key, value in item.items())
    return str(item)
