"""`riemaug evaluate`: whether synthetic samples help."""

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from riemaug.cli import options, parsing, reading_options
from riemaug.cli.choices import check_value, completing
from riemaug.errors import InvalidInputError

_HOW, _GENERATOR = "What is measured", "Generator (with --cv)"
MODEL_OPTIONS = (
    "preset",
    "model",
    "network",
    "latent_dim",
    "likelihood",
    "max_epochs",
    "learning_rate",
    "patience",
)
GENERATOR_OPTIONS = (*MODEL_OPTIONS, "sampler", "per_class", "factor", "balance")
PLAIN_OPTIONS = ("seeds", "seed", "classic", "features", "near_duplicates", "jobs", "engine")


def several(value: list[str] | None) -> list[str] | None:
    """Return the values of an option that may be repeated, or hold some with commas between them."""
    return [part.strip() for item in value or () for part in item.split(",")] or None


Data = Annotated[
    Path,
    typer.Argument(
        metavar="REAL",
        help="The real samples: class folders, a folder with metadata.csv, an .npz file, or a table.",
        show_default=False,
    ),
]
Synthetic = Annotated[
    Path | None,
    typer.Argument(
        metavar="[SYNTHETIC]",
        help="What was made from them: the output of riemaug augment, or any data set of the same kind.",
        show_default=False,
    ),
]
Test = Annotated[
    Path | None,
    typer.Option(
        help="Held-out real samples that no generator has seen.", metavar="PATH", rich_help_panel=_HOW
    ),
]
Cv = Annotated[
    int | None,
    typer.Option(
        help="Without SYNTHETIC and --test: divide REAL into N folds and make synthetic samples in each.",
        metavar="N",
        rich_help_panel=_HOW,
        show_default=False,
    ),
]
ClassifierNames = Annotated[
    list[str] | None,
    typer.Option(
        "--classifier",
        help="What is trained: small-cnn (default for images), cnn, mlp, densenet, logistic (default for "
        "tables), boosted-trees; may be repeated.",
        metavar="NAME",
        callback=several,
        autocompletion=completing("classifier"),
        rich_help_panel=_HOW,
        show_default=False,
    ),
]
TrainedOn = Annotated[
    list[str] | None,
    typer.Option(
        "--trained-on",
        help="Training sets: real, synthetic, both, classic (real and its transforms), all; may be repeated. "
        "By default all.",
        metavar="SET",
        callback=several,
        autocompletion=completing("trained_on"),
        rich_help_panel=_HOW,
        show_default=False,
    ),
]
Seeds = Annotated[int, typer.Option(help="Trainings of each classifier on each set.", rich_help_panel=_HOW)]
Classic = Annotated[
    str,
    typer.Option(
        help="Classic augmentation: x5 (noise, crops), x10 (also flips, rotations) or x15 (also shear, scale,"
        " brightness).",
        metavar="x5|x10|x15",
        autocompletion=completing("classic"),
        rich_help_panel=_HOW,
    ),
]
Features = Annotated[
    str,
    typer.Option(
        help="In which space fidelity is measured.",
        metavar="pixels|pca|classifier",
        autocompletion=completing("features"),
        rich_help_panel=_HOW,
    ),
]
NoGain = Annotated[
    bool, typer.Option("--no-gain", help="Train no classifiers; needs no --test.", rich_help_panel=_HOW)
]
NoFidelity = Annotated[
    bool,
    typer.Option("--no-fidelity", help="Do not measure how like real ones they are.", rich_help_panel=_HOW),
]
NoCopying = Annotated[
    bool, typer.Option("--no-copying", help="Do not look for copies.", rich_help_panel=_HOW)
]
NearDuplicates = Annotated[
    str,
    typer.Option(
        help="Near duplicates of real samples in the test set: refuse or ignore; exact copies are always "
        "refused.",
        metavar="refuse|ignore",
        autocompletion=completing("near duplicates of a test set"),
        rich_help_panel=_HOW,
    ),
]
FitShape = Annotated[
    str | None,
    typer.Option(
        help="Compare images or volumes at these sides, e.g. 46x55x46.",
        metavar="HxW|XxYxZ",
        rich_help_panel="Data",
    ),
]
GroupFrom = Annotated[
    str | None,
    typer.Option(
        help="How to tell the subject of a real image: folder, the name of a COLUMN, or a REGEX with one "
        "group; a subject in REAL and in the test set stops the run.",
        metavar="folder|COLUMN|REGEX",
        rich_help_panel="Data",
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        help="Where results go; by default beside what is judged, its name with -evaluation added.",
        metavar="FOLDER",
        rich_help_panel="Run",
        show_default=False,
    ),
]
Seed = Annotated[int, typer.Option(help="The same seed gives the same numbers.", rich_help_panel="Run")]
Jobs = Annotated[
    int | None,
    typer.Option(
        help="Trainings at once, by default as many as cores; changes no number.",
        rich_help_panel="Run",
        show_default=False,
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.", rich_help_panel="Run")
]


def _of_generator(text: str, name: str = "") -> Any:
    """Return an option of the generator without a default of its own."""
    complete = completing(name) if name else None
    return typer.Option(help=text, rich_help_panel=_GENERATOR, show_default=False, autocompletion=complete)


_ITS = "as of riemaug augment."
Preset = Annotated[
    str | None, _of_generator("paper, conditional or auto (default); see riemaug augment.", "preset")
]
Model = Annotated[str | None, _of_generator(f"rhvae (default), vae, hvae or vamp, {_ITS}", "model")]
Network = Annotated[str | None, _of_generator(f"mlp or conv, {_ITS}", "network")]
LatentDim = Annotated[int | None, _of_generator("Latent dimension d.")]
Likelihood = Annotated[str | None, _of_generator(f"bernoulli, gaussian and others, {_ITS}", "likelihood")]
MaxEpochs = Annotated[int | None, _of_generator("Stop its training after so many epochs at the latest.")]
LearningRate = Annotated[float | None, _of_generator("Step size of its training.")]
Patience = Annotated[int | None, _of_generator("Stop after so many epochs without a better ELBO.")]
Sampler = Annotated[str | None, _of_generator(f"How new samples are drawn, {_ITS}", "sampler")]
PerClass = Annotated[
    int | None,
    typer.Option(
        "--per-class",
        help="So many synthetic samples for each class; without an amount as many as real ones.",
        rich_help_panel=_GENERATOR,
        show_default=False,
    ),
]
Factor = Annotated[
    float | None,
    typer.Option(
        help="Real and synthetic ones together F times the class's size.",
        rich_help_panel=_GENERATOR,
        show_default=False,
    ),
]
Balance = Annotated[
    bool,
    typer.Option("--balance", help="Bring every class up to the largest.", rich_help_panel=_GENERATOR),
]


def evaluate(
    real: Data,
    synthetic: Synthetic = None,
    test: Test = None,
    cv: Cv = None,
    classifier: ClassifierNames = None,
    trained_on: TrainedOn = None,
    seeds: Seeds = 5,
    classic: Classic = "x5",
    features: Features = "pca",
    no_gain: NoGain = False,
    no_fidelity: NoFidelity = False,
    no_copying: NoCopying = False,
    near_duplicates: NearDuplicates = "refuse",
    preset: Preset = None,
    model: Model = None,
    network: Network = None,
    latent_dim: LatentDim = None,
    likelihood: Likelihood = None,
    max_epochs: MaxEpochs = None,
    learning_rate: LearningRate = None,
    patience: Patience = None,
    sampler: Sampler = None,
    per_class: PerClass = None,
    factor: Factor = None,
    balance: Balance = False,
    resize: reading_options.Resize = None,
    pad: reading_options.Pad = False,
    crop: reading_options.Crop = False,
    fit_shape: FitShape = None,
    resample: reading_options.Resample = False,
    bids_suffix: reading_options.BidsSuffix = None,
    participants: reading_options.Participants = None,
    min_slices: reading_options.MinSlices = None,
    nan: reading_options.Nan = None,
    skip_bad: reading_options.SkipBad = False,
    include: reading_options.Include = None,
    exclude: reading_options.Exclude = None,
    limit: reading_options.Limit = None,
    follow_links: reading_options.FollowLinks = False,
    group_from: GroupFrom = None,
    label_from: reading_options.LabelFrom = None,
    drop_columns: reading_options.DropColumns = None,
    missing: reading_options.Missing = None,
    out: Out = None,
    jobs: Jobs = None,
    engine: options.Engine = "loky",
    seed: Seed = 0,
    dry_run: DryRun = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    log_level: options.LogLevel = "info",
    config: options.Config = None,
) -> None:
    """Train classifiers with and without synthetic samples, test them on real ones, and say whether it helps.

    Also: how like real ones the synthetic samples are, and whether they are copies.

    Example: riemaug evaluate parts/train out --test parts/test
    """
    chosen = dict(locals())
    from riemaug.cli.console import Console
    from riemaug.cli.endings import GOES_ON, told_how_to_go_on
    from riemaug.cli.evaluation_report import progress, tell_dry_run, tell_outcome, tell_plan
    from riemaug.parallel import Engine
    from riemaug.run.evaluate import prepare, run

    request = _request(chosen)
    console = Console(quiet, json)
    with told_how_to_go_on(GOES_ON), Engine.parse(request.evaluation.engine).entered():
        with console.rich.status("reading and comparing the samples"):
            prepared = prepare(request)
        tell_plan(console, prepared)
        if dry_run:
            tell_dry_run(console, prepared)
            return
        started = time.monotonic()
        with progress(console) as listener:
            evaluation = run(prepared, listener)
    tell_outcome(console, prepared, evaluation, time.monotonic() - started)


PLAIN_READING = (
    *("pad", "crop", "resample", "skip_bad", "group_from", "label_from", "bids_suffix"),
    *("participants", "min_slices", "nan"),
)
"""Options of reading that need no parsing."""


def _request(chosen: dict[str, Any]) -> Any:
    from riemaug.cli.console import command_line
    from riemaug.config import GeneratorConfig, SamplingConfig
    from riemaug.run.evaluate import EvaluateRequest

    _check_choices(chosen)
    model = {name: chosen[name] for name in MODEL_OPTIONS if chosen[name] is not None}
    return parsing.build(
        EvaluateRequest,
        data=chosen["real"],
        synthetic=chosen["synthetic"],
        test=chosen["test"],
        folds=chosen["cv"] is not None,
        out=chosen["out"],
        reading=_reading(chosen),
        evaluation=_evaluation(chosen),
        generator=parsing.build(GeneratorConfig, **model),
        sampling=parsing.build(SamplingConfig, sampler=chosen["sampler"]),
        log_level=chosen["log_level"],
        command=command_line(),
    )


def _check_choices(chosen: dict[str, Any]) -> None:
    """Refuse options of the generator where there is none, and values that are none."""
    given = [name for name in GENERATOR_OPTIONS if chosen[name] not in (None, False)]
    if chosen["cv"] is None and given:
        raise InvalidInputError(
            f"--{given[0].replace('_', '-')} is for the generator of --cv, SYNTHETIC is made already: leave "
            "it out"
        )
    for option in ("classifier", "trained_on"):
        for name in chosen[option] or ():
            check_value(f"--{option.replace('_', '-')}", name, option)


def _reading(chosen: dict[str, Any]) -> Any:
    from riemaug.limits import parse_limits
    from riemaug.run.request import ReadOptions

    return parsing.build(
        ReadOptions,
        resize=parsing.parse_size(chosen["resize"]),
        fit_shape=parsing.parse_fit_shape(chosen["fit_shape"]),
        drop_columns=parsing.parse_columns(chosen["drop_columns"]),
        include=chosen["include"] or (),
        exclude=chosen["exclude"] or (),
        missing=chosen["missing"] or None,
        limits=parse_limits(chosen["limit"] or (), chosen["follow_links"]),
        **{name: chosen[name] for name in PLAIN_READING},
    )


def _evaluation(chosen: dict[str, Any]) -> Any:
    from riemaug.config import Amount
    from riemaug.evaluation.settings import EvaluationConfig

    amount = parsing.build(Amount, **{name: chosen[name] for name in ("per_class", "factor", "balance")})
    return parsing.build(
        EvaluationConfig,
        classifiers=tuple(chosen["classifier"] or ()),
        trained_on=tuple(chosen["trained_on"]) if chosen["trained_on"] else None,
        gain=not chosen["no_gain"],
        fidelity=not chosen["no_fidelity"],
        copying=not chosen["no_copying"],
        amount=amount,
        **({} if chosen["cv"] is None else {"cv": chosen["cv"]}),
        **{name: chosen[name] for name in PLAIN_OPTIONS},
    )
