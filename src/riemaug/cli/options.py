"""The options that commands share, each worded once."""

from pathlib import Path
from typing import Annotated

import typer

from riemaug.cli.choices import completing
from riemaug.cli.configuration import read_config
from riemaug.cli.log_level import take_level

_DATA, _MODEL, _TRAINING, _AMOUNT = "Data", "Model", "Training", "Amount"
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
Data = Annotated[
    Path,
    typer.Argument(
        help="A folder with one sub-folder of images, volumes or DICOM series per class, a BIDS folder, "
        "a folder with metadata.csv, an .npz file, or a .csv, .tsv or .parquet table.",
        show_default=False,
    ),
]
Resize = Annotated[
    str | None,
    typer.Option(help="Bring all images to HxW, e.g. 64x64.", metavar="HxW", rich_help_panel=_DATA),
]
FitShape = Annotated[
    str | None,
    typer.Option(
        help="Model images or volumes at these sides, e.g. 46x55x46; new ones have the input's own.",
        metavar="HxW|XxYxZ",
        rich_help_panel=_DATA,
    ),
]
Resample = Annotated[
    bool,
    typer.Option(
        "--resample",
        help="Bring volumes of different grids to the one that most have, by their affines, linearly.",
        rich_help_panel=_DATA,
    ),
]
BidsSuffix = Annotated[
    str | None,
    typer.Option(
        help="Of a BIDS folder: which volumes to read, by the end of their names, e.g. T1w or "
        "desc-preproc_T1w, or some of their parts, e.g. space-MNI152NLin6Asym_T1w.",
        metavar="SUFFIX",
        rich_help_panel=_DATA,
        show_default=False,
    ),
]
Participants = Annotated[
    Path | None,
    typer.Option(
        help="Of a BIDS folder: the participants.tsv that tells the classes, where it has none of its own.",
        metavar="PATH",
        rich_help_panel=_DATA,
        show_default=False,
    ),
]
MinSlices = Annotated[
    int | None,
    typer.Option(
        help="Of DICOM: leave out series of fewer slices, such as localizers.",
        metavar="N",
        rich_help_panel=_DATA,
        show_default=False,
    ),
]
Nan = Annotated[
    float | None,
    typer.Option(
        "--nan",
        help="Of NIfTI volumes: take voxels that are NaN for this value, e.g. 0 for an empty background.",
        metavar="VALUE",
        rich_help_panel=_DATA,
        show_default=False,
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
Pad = Annotated[
    bool, typer.Option("--pad", help="Centre smaller images in the largest size.", rich_help_panel=_DATA)
]
Crop = Annotated[
    bool, typer.Option("--crop", help="Cut the centre of the smallest size.", rich_help_panel=_DATA)
]
SkipBad = Annotated[
    bool, typer.Option("--skip-bad", help="Leave out files that cannot be read.", rich_help_panel=_DATA)
]
Include = Annotated[
    list[str] | None,
    typer.Option(
        "--include",
        help="Of a folder: read only files that PATTERN fits, e.g. '*_t1.nii.gz', or with a slash their "
        "paths, e.g. 'cat/*'; repeatable.",
        metavar="PATTERN",
        rich_help_panel=_DATA,
        show_default=False,
    ),
]
Exclude = Annotated[
    list[str] | None,
    typer.Option(
        "--exclude",
        help="Of a folder: leave out files that PATTERN fits, e.g. '*_mask.png'; repeatable.",
        metavar="PATTERN",
        rich_help_panel=_DATA,
        show_default=False,
    ),
]
GroupFrom = Annotated[
    str | None,
    typer.Option(
        help="How to tell the subject of an image: folder, column (group of metadata.csv), another COLUMN "
        "of it by its name, or a REGEX with one group, searched in the path; written to metadata.csv with "
        "--include-real. Of a table: the name of a column, which is not modelled.",
        metavar="folder|COLUMN|REGEX",
        rich_help_panel=_DATA,
    ),
]
LabelFrom = Annotated[
    str | None,
    typer.Option(
        help="Column of a table, a metadata.csv or a BIDS folder's participants.tsv that holds the labels; "
        "by default of a table the one called label, class, target or y, of metadata.csv label, of BIDS "
        "group, diagnosis, label, class or dx.",
        metavar="COLUMN",
        rich_help_panel=_DATA,
        show_default=False,
    ),
]
DropColumns = Annotated[
    str | None,
    typer.Option(
        help="Columns of a table to leave out, such as identifiers, with commas between them.",
        metavar="COLUMN,COLUMN",
        rich_help_panel=_DATA,
    ),
]
Missing = Annotated[
    list[str] | None,
    typer.Option(
        help="Text of a CSV table's cells that are missing, in place of NA, NaN, None, null and the like; "
        "repeatable. Empty cells always are: '' takes only these for missing.",
        metavar="TEXT",
        rich_help_panel=_DATA,
        show_default=False,
    ),
]
Limit = Annotated[
    list[str] | None,
    typer.Option(
        help="How large a file may be, e.g. pixels=500M: pixels of an image or voxels of a volume, pages of "
        "a TIFF, bytes of an npz or table, columns of a table, text-bytes of a metadata.csv; repeatable.",
        metavar="NAME=NUMBER",
        rich_help_panel=_DATA,
        show_default=False,
    ),
]
FollowLinks = Annotated[
    bool,
    typer.Option(
        "--follow-links",
        help="Follow links to folders outside the data folder, too.",
        rich_help_panel=_DATA,
    ),
]
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
