"""`riemaug fit`: only learn, and save the model."""

from pathlib import Path
from typing import Annotated

import typer

from riemaug.cli import options


def fit(
    data: options.Data,
    model_folder: Annotated[
        Path, typer.Argument(metavar="MODEL", help="A new or empty folder.", show_default=False)
    ],
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
    seed: options.Seed = 0,
    device: options.Device = "auto",
    jobs: options.Jobs = None,
    resume: options.Resume = False,
    dry_run: options.DryRun = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    config: options.Config = None,
) -> None:
    """Learn DATA class by class and save the models as MODEL.

    Example: riemaug fit scans/ model/ --seed 0
    """
    from riemaug.cli.console import Console, command_line
    from riemaug.config import GeneratorConfig
    from riemaug.run.pipeline import fit as run
    from riemaug.run.request import FitRequest, ReadOptions, RunOptions

    request = options.build(
        FitRequest,
        data=data,
        out=model_folder,
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
        run=options.build(RunOptions, jobs=jobs, resume=resume),
        command=command_line(),
    )
    console = Console(quiet, json)
    if dry_run:
        from riemaug.run.plan import plan_fit

        console.plan(plan_fit(request), dry=True)
        return
    with console.progress() as listener:
        outcome = run(request, console.plan, listener)
    console.outcome(outcome)
