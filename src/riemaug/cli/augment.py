"""`riemaug augment`: the main job."""

from pathlib import Path
from typing import Annotated

import typer

from riemaug.cli import options

Out = Annotated[Path, typer.Argument(help="A new or empty folder.", show_default=False)]


def augment(
    data: options.Data,
    out: Out,
    per_class: options.PerClass = None,
    factor: options.Factor = None,
    balance: options.Balance = False,
    include_real: options.IncludeReal = None,
    resize: options.Resize = None,
    pad: options.Pad = False,
    crop: options.Crop = False,
    skip_bad: options.SkipBad = False,
    group_from: options.GroupFrom = None,
    preset: options.Preset = "paper",
    model: options.Model = "rhvae",
    latent_dim: options.LatentDim = None,
    bandwidth: options.Bandwidth = None,
    regularization: options.Regularization = None,
    likelihood: options.Likelihood = None,
    max_epochs: options.MaxEpochs = None,
    sampler: options.Sampler = None,
    inverse_temperature: options.InverseTemperature = 1.0,
    seed: options.Seed = 0,
    no_real_images: options.NoRealImages = False,
    device: options.Device = "auto",
    jobs: options.Jobs = None,
    batch_size: options.BatchSize = 256,
    resume: options.Resume = False,
    dry_run: options.DryRun = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    config: options.Config = None,
) -> None:
    """Learn DATA class by class and write new samples, a manifest and a report to OUT.

    Without an amount each class is doubled.

    Example: riemaug augment scans/ out/ --per-class 200 --seed 0
    """
    from riemaug.cli.console import Console, command_line
    from riemaug.config import Amount, GeneratorConfig, SamplingConfig
    from riemaug.run.pipeline import augment as run
    from riemaug.run.request import AugmentRequest, ReadOptions, RunOptions

    request = options.build(
        AugmentRequest,
        data=data,
        out=out,
        reading=options.build(
            ReadOptions,
            resize=options.parse_size(resize),
            pad=pad,
            crop=crop,
            skip_bad=skip_bad,
            group_from=group_from,
        ),
        generator=options.build(
            GeneratorConfig,
            preset=preset,
            model=model,
            latent_dim=latent_dim,
            bandwidth=bandwidth,
            regularization=regularization,
            likelihood=likelihood,
            max_epochs=max_epochs,
            seed=seed,
            device=device,
        ),
        sampling=options.build(
            SamplingConfig, sampler=sampler, inverse_temperature=inverse_temperature, seed=seed
        ),
        amount=options.build(Amount, per_class=per_class, factor=factor, balance=balance),
        run=options.build(RunOptions, jobs=jobs, batch_size=batch_size, resume=resume),
        include_real=include_real,
        real_in_report=not no_real_images,
        command=command_line(),
    )
    console = Console(quiet, json)
    if dry_run:
        from riemaug.run.plan import plan_augment

        console.plan(plan_augment(request), dry=True)
        return
    with console.progress() as listener:
        outcome = run(request, console.plan, listener)
    console.outcome(outcome)
