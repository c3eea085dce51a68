"""The options that commands share, each worded once; of reading see `riemaug.cli.reading_options`."""

from pathlib import Path
from typing import Annotated

import typer

from riemaug.cli.choices import completing
from riemaug.cli.configuration import read_config
from riemaug.cli.log_level import take_level

_MODEL, _TRAINING, _AMOUNT = "Model", "Training", "Amount"
_SAMPLING, _RUN = "Sampling", "Run"


Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        help="TOML file with options under their own names; the command line wins.",
        callback=read_config,
        is_eager=True,
        rich_help_panel=_RUN,
    ),
]
Layout = Annotated[
    str | None,
    typer.Option(
        help="Write volumes in class folders (folders) or as a BIDS derivative (bids); by default like DATA.",
        metavar="folders|bids",
        autocompletion=completing("layout"),
        rich_help_panel=_AMOUNT,
        show_default=False,
    ),
]
Shards = Annotated[
    str | None,
    typer.Option(
        help="Write shards of many samples of one class in place of what DATA was: npz files, WebDataset tar "
        "files, Parquet files (tables), or one Zarr store.",
        metavar="npz|webdataset|parquet|zarr",
        autocompletion=completing("shards"),
        rich_help_panel=_AMOUNT,
        show_default=False,
    ),
]
ShardSize = Annotated[int, typer.Option(help="Samples in a shard.", metavar="N", rich_help_panel=_AMOUNT)]
Preset = Annotated[
    str,
    typer.Option(
        help="paper: one perceptron model a class, d = 2; conditional: one model of all classes that is told "
        "the class, with convolutions for images and volumes; auto: conditional for images and "
        "volumes of several classes, 16 or more along each side, else paper.",
        autocompletion=completing("preset"),
        rich_help_panel=_MODEL,
    ),
]
Sharing = Annotated[
    str,
    typer.Option(
        help="Of --preset conditional: measured (a rehearsal decides whether classes share one model), "
        "always or never.",
        autocompletion=completing("sharing"),
        rich_help_panel=_MODEL,
    ),
]
Model = Annotated[
    str,
    typer.Option(
        help="rhvae (learns a metric), vae, hvae, or vamp (draws from a learned prior).",
        autocompletion=completing("model"),
        rich_help_panel=_MODEL,
    ),
]
Network = Annotated[
    str | None,
    typer.Option(
        help="mlp (dense layers) or conv (convolutions); by default the preset's.",
        autocompletion=completing("network"),
        rich_help_panel=_MODEL,
    ),
]
LatentDim = Annotated[int | None, typer.Option(help="Latent dimension d.", rich_help_panel=_MODEL)]
Bandwidth = Annotated[
    float | None,
    typer.Option(help="Kernel width T (the paper's temperature), from 1e-6 to 1e6.", rich_help_panel=_MODEL),
]
Regularization = Annotated[
    float | None,
    typer.Option(help="lambda of the metric, from 1e-12 to 1.", rich_help_panel=_MODEL),
]
Likelihood = Annotated[
    str | None,
    typer.Option(
        help="bernoulli (default for images), continuous-bernoulli, gaussian (default for tables) or "
        "gaussian-learned.",
        autocompletion=completing("likelihood"),
        rich_help_panel=_MODEL,
    ),
]
MaxEpochs = Annotated[
    int | None,
    typer.Option(help="Stop training after so many epochs at the latest.", rich_help_panel=_TRAINING),
]
LearningRate = Annotated[float | None, typer.Option(help="Step size of Adam.", rich_help_panel=_TRAINING)]
Patience = Annotated[
    int | None,
    typer.Option(help="Stop after so many epochs without a better ELBO.", rich_help_panel=_TRAINING),
]
TrainingBatchSize = Annotated[
    int | None,
    typer.Option(help="Samples in one step of training at most.", rich_help_panel=_TRAINING),
]
ValidationFraction = Annotated[
    float | None,
    typer.Option(
        help="Keep this share of each class out of training and stop by its ELBO, not by that of the "
        "training samples.",
        rich_help_panel=_TRAINING,
    ),
]
WarmupEpochs = Annotated[
    int | None,
    typer.Option(
        help="For so many epochs the divergence counts from 0 up to fully.", rich_help_panel=_TRAINING
    ),
]
Precision = Annotated[
    str | None,
    typer.Option(
        help="Of the networks' products in training: float32, bfloat16 or float16.",
        autocompletion=completing("precision"),
        rich_help_panel=_TRAINING,
    ),
]
AugmentTraining = Annotated[
    bool,
    typer.Option(
        "--augment-training",
        help="Turn, shift, scale and shear images or volumes a little while training; the networks are told "
        "how, so that new ones are not transformed.",
        rich_help_panel=_TRAINING,
    ),
]
Tune = Annotated[
    int | None,
    typer.Option(
        help="Search the constants that are not given in N trials (20 are a good start), by the likelihood "
        "of held-out samples; needs riemaug[tune].",
        metavar="N",
        rich_help_panel=_TRAINING,
    ),
]
TuneTime = Annotated[
    float | None,
    typer.Option(
        help="With --tune: begin no new trial after so many seconds.",
        metavar="SECONDS",
        rich_help_panel=_TRAINING,
    ),
]
PerClass = Annotated[
    int | None,
    typer.Option("--per-class", help="So many new samples for each class.", rich_help_panel=_AMOUNT),
]
Factor = Annotated[
    float | None,
    typer.Option(help="Real and new ones together F times the class's size.", rich_help_panel=_AMOUNT),
]
Balance = Annotated[
    bool, typer.Option("--balance", help="Bring every class up to the largest.", rich_help_panel=_AMOUNT)
]
IncludeReal = Annotated[
    str | None,
    typer.Option(
        help="Put the real samples beside the new ones: copy or link.",
        metavar="copy|link",
        autocompletion=completing("include_real"),
        rich_help_panel=_AMOUNT,
    ),
]
DropCopies = Annotated[
    bool,
    typer.Option(
        "--drop-copies",
        help="Write no sample that is an exact or near copy of a training sample but draw others, at most 10 "
        "a sample asked for (100 a class where that is more). The law is then no longer Eq. 3 exactly.",
        rich_help_panel=_SAMPLING,
    ),
]
Sampler = Annotated[
    str | None,
    typer.Option(
        help="mixture (independent draws of Eq. 3; the default), walk (exact Riemannian random walk), hmc "
        "(Hamiltonian Monte Carlo), prior; for comparison, as neither samples Eq. 3: walk-paper (Alg. 1 as "
        "printed), walk-paper-code (with the sign of the authors' code).",
        autocompletion=completing("sampler"),
        rich_help_panel=_SAMPLING,
    ),
]
InverseTemperature = Annotated[
    float,
    typer.Option(
        help="b: draws follow pi^b; 1 is the paper's Eq. 3, larger stays closer to the data.",
        rich_help_panel=_SAMPLING,
    ),
]
Seed = Annotated[int, typer.Option(help="The same seed gives the same bytes.", rich_help_panel=_SAMPLING)]
NoRealImages = Annotated[
    bool,
    typer.Option("--no-real-images", help="Keep real images out of the report.", rich_help_panel=_RUN),
]
Device = Annotated[
    str,
    typer.Option(
        help="auto, cpu, cuda or cuda:N.", autocompletion=completing("device"), rich_help_panel=_RUN
    ),
]
Jobs = Annotated[
    int | None,
    typer.Option(
        help="Tasks worked on at once, most often classes; by default as many as pay and fit, of sample 1 "
        "below 100,000 samples.",
        rich_help_panel=_RUN,
        show_default=False,
    ),
]
Engine = Annotated[
    str,
    typer.Option(
        help="Where tasks are done: loky (processes of this machine), or a cluster: dask://HOST:PORT or "
        "ray://HOST:PORT, whose machines share OUT and have the same riemaug.",
        metavar="loky|dask://HOST:PORT|ray://HOST:PORT",
        rich_help_panel=_RUN,
    ),
]
BatchSize = Annotated[
    int, typer.Option(help="Samples decoded and written at once; changes no byte.", rich_help_panel=_RUN)
]
Resume = Annotated[
    bool, typer.Option("--resume", help="Continue an unfinished run in OUT.", rich_help_panel=_RUN)
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run", help="Say what would be done, with its cost, and do nothing.", rich_help_panel=_RUN
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.", rich_help_panel=_RUN)]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.", rich_help_panel=_RUN)]
LogLevel = Annotated[
    str,
    typer.Option(
        help="Least level of what run.log keeps, where the command writes one; at debug it is shown, too.",
        metavar="debug|info|warning|error",
        callback=take_level,
        autocompletion=completing("log_level"),
        rich_help_panel=_RUN,
    ),
]
