"""`riemaug demo`: the main job on scikit-learn's real digits, with nothing to prepare."""

from pathlib import Path
from typing import Annotated

import typer

from riemaug.cli import options


def demo(
    out: Annotated[Path, typer.Argument(help="A new or empty folder.")] = Path("riemaug-demo"),
    per_class: Annotated[int, typer.Option(help="New samples for each digit.", min=2)] = 200,
    train_per_class: Annotated[
        int, typer.Option(help="Real digits of each class to learn from.", min=2)
    ] = 30,
    seed: options.Seed = 0,
    jobs: options.Jobs = None,
    resume: options.Resume = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    log_level: options.LogLevel = "info",
    config: options.Config = None,
) -> None:
    """Augment scikit-learn's handwritten digits, and say what that is worth to a classifier.

    Writes some digits as PNG class folders (OUT/digits), augments them (OUT/augmented), and scores a
    classifier trained on real, synthetic and both on all digits that were not used.

    Example: riemaug demo riemaug-demo --per-class 100
    """
    chosen = dict(locals())
    from riemaug.cli.console import Console
    from riemaug.cli.requests import request as build
    from riemaug.demonstration import (
        AUGMENTED_NAME,
        DIGITS_NAME,
        prepare_demonstration,
        score_digits,
        split_digits,
        write_digits,
    )
    from riemaug.run.pipeline import augment as run
    from riemaug.run.request import AugmentRequest

    request = build(AugmentRequest, chosen, data=out / DIGITS_NAME, out=out / AUGMENTED_NAME)
    split = split_digits(train_per_class, seed)
    write_digits(split, prepare_demonstration(out, split, resume) / DIGITS_NAME)
    console = Console(quiet, json)
    with console.progress() as listener:
        outcome = run(request, console.plan, listener, console.note)
    scores = score_digits(split, request.out, out / "scores.json")
    console.outcome(outcome, scores)
