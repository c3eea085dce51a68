"""`riemaug sample`: only draw, from a saved model."""

from pathlib import Path
from typing import Annotated

import typer

from riemaug.cli import options, reading_options


def sample(
    model_folder: Annotated[
        Path,
        typer.Argument(metavar="MODEL", help="A folder made by fit or augment.", show_default=False),
    ],
    out: Annotated[Path, typer.Argument(help="A new or empty folder.", show_default=False)],
    per_class: options.PerClass = None,
    factor: options.Factor = None,
    balance: options.Balance = False,
    sampler: options.Sampler = None,
    inverse_temperature: options.InverseTemperature = 1.0,
    real: Annotated[
        Path | None,
        typer.Option(
            help="The data that MODEL was fitted on, to compare the samples with (nearest file, copy flag).",
            metavar="DATA",
            rich_help_panel="Data",
        ),
    ] = None,
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
    drop_copies: options.DropCopies = False,
    shards: options.Shards = None,
    shard_size: options.ShardSize = 10_000,
    seed: options.Seed = 0,
    jobs: options.Jobs = None,
    engine: options.Engine = "loky",
    batch_size: options.BatchSize = 256,
    resume: options.Resume = False,
    dry_run: options.DryRun = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    log_level: options.LogLevel = "info",
    config: options.Config = None,
) -> None:
    """Draw new samples from the saved MODEL and write them, with a manifest, to OUT.

    --real, read with the options of the fit, is for --drop-copies and for what the manifest says of copies.

    Example: riemaug sample model/ more/ --per-class 1000 --seed 1
    """
    chosen = dict(locals())
    from riemaug.cli.console import Console
    from riemaug.cli.requests import request as build
    from riemaug.run.request import SampleRequest
    from riemaug.run.sample_job import sample as run

    more = {"drop_copies": drop_copies, "shards": shards, "shard_size": shard_size}
    request = build(SampleRequest, chosen, model=model_folder, out=out, real=real, **more)
    console = Console(quiet, json)
    if dry_run:
        from riemaug.cli.sampling_plan import tell_dry_run
        from riemaug.run.sampling_plan import plan_sample
        from riemaug.run.training_set import read_training_set

        plan = plan_sample(request)
        if real is not None:
            read_training_set(real, request.reading, plan.generators)
        tell_dry_run(console, plan, out)
        return
    with console.progress() as listener:
        outcome = run(request, listener, console.note)
    console.outcome(outcome)
