"""`riemaug augment`: the main job."""

from pathlib import Path
from typing import Annotated

import typer

from riemaug.cli import options, reading_options

Out = Annotated[Path, typer.Argument(help="A new or empty folder.", show_default=False)]


def augment(
    data: reading_options.Data,
    out: Out,
    per_class: options.PerClass = None,
    factor: options.Factor = None,
    balance: options.Balance = False,
    include_real: options.IncludeReal = None,
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
    layout: options.Layout = None,
    preset: options.Preset = "auto",
    sharing: options.Sharing = "measured",
    model: options.Model = "rhvae",
    network: options.Network = None,
    latent_dim: options.LatentDim = None,
    bandwidth: options.Bandwidth = None,
    regularization: options.Regularization = None,
    likelihood: options.Likelihood = None,
    max_epochs: options.MaxEpochs = None,
    learning_rate: options.LearningRate = None,
    patience: options.Patience = None,
    training_batch_size: options.TrainingBatchSize = None,
    validation_fraction: options.ValidationFraction = None,
    warmup_epochs: options.WarmupEpochs = None,
    precision: options.Precision = None,
    augment_training: options.AugmentTraining = False,
    tune: options.Tune = None,
    tune_time: options.TuneTime = None,
    sampler: options.Sampler = None,
    inverse_temperature: options.InverseTemperature = 1.0,
    drop_copies: options.DropCopies = False,
    shards: options.Shards = None,
    shard_size: options.ShardSize = 10_000,
    seed: options.Seed = 0,
    no_real_images: options.NoRealImages = False,
    device: options.Device = "auto",
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
    """Learn the classes of DATA and write new samples, a manifest and a report to OUT.

    Without an amount each class is doubled.

    Example: riemaug augment scans/ out/ --per-class 200 --seed 0
    """
    chosen = dict(locals())
    from riemaug.cli.console import Console
    from riemaug.cli.requests import request as build
    from riemaug.run.pipeline import augment as run
    from riemaug.run.request import AugmentRequest

    request = build(
        AugmentRequest,
        chosen,
        data=data,
        out=out,
        drop_copies=drop_copies,
        shards=shards,
        shard_size=shard_size,
        include_real=include_real,
        real_in_report=not no_real_images,
    )
    console = Console(quiet, json)
    if dry_run:
        from riemaug.run.plan import plan_augment

        console.plan(plan_augment(request), dry=True)
        return
    with console.progress() as listener:
        outcome = run(request, console.plan, listener, console.note)
    console.outcome(outcome)
