"""`riemaug inspect`: what is in a data set, a model folder or an output."""

from pathlib import Path
from typing import Annotated, Any

import typer

from riemaug.cli import options, parsing, reading_options
from riemaug.cli.text import printable

_COPIES = {"no": "no copies", "near": "near copies", "exact": "exact copies"}
"""What the manifest's flags are called."""


def inspect(
    path: Annotated[
        Path,
        typer.Argument(
            help="A data set, a model folder, or an output of augment, sample, evaluate, interpolate.",
            show_default=False,
        ),
    ],
    resize: reading_options.Resize = None,
    pad: reading_options.Pad = False,
    crop: reading_options.Crop = False,
    fit_shape: reading_options.FitShape = None,
    resample: reading_options.Resample = False,
    skip_bad: reading_options.SkipBad = False,
    include: reading_options.Include = None,
    exclude: reading_options.Exclude = None,
    limit: reading_options.Limit = None,
    follow_links: reading_options.FollowLinks = False,
    group_from: reading_options.GroupFrom = None,
    label_from: reading_options.LabelFrom = None,
    drop_columns: reading_options.DropColumns = None,
    missing: reading_options.Missing = None,
    bids_suffix: reading_options.BidsSuffix = None,
    participants: reading_options.Participants = None,
    min_slices: reading_options.MinSlices = None,
    nan: reading_options.Nan = None,
    json: options.Json = False,
) -> None:
    """Say what is in PATH: a data set, a model (of pythae or pyraug, too), or the output of a run.

    Example: riemaug inspect scans/
    """
    from riemaug.cli.summaries import summarise
    from riemaug.limits import parse_limits

    summary = summarise(
        path,
        resize=parsing.parse_size(resize),
        pad=pad,
        crop=crop,
        fit_shape=parsing.parse_fit_shape(fit_shape),
        skip_bad=skip_bad,
        include=tuple(include or ()),
        exclude=tuple(exclude or ()),
        group_from=group_from,
        resample=resample,
        bids_suffix=bids_suffix,
        participants=participants,
        min_slices=min_slices,
        nan=nan,
        label_from=label_from,
        drop_columns=parsing.parse_columns(drop_columns),
        missing=missing or None,
        limits=parse_limits(limit or (), follow_links),
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
            told = _copies_line(value) if key == "copies" else _line(value)
            typer.echo(f"{key}: {printable(told)}")


def _copies_line(counts: dict[str, int]) -> str:
    """Return what the manifest's flags say of so many samples."""
    return ", ".join(f"{count} {_COPIES.get(flag, flag)}" for flag, count in counts.items())


def _line(item: Any) -> str:
    if isinstance(item, dict):
        return ", ".join(f"{key} {value}" for key, value in item.items())
    return str(item)
