"""Whether a generator's choices go together and suit data and device, before anything is written."""

import math
from collections.abc import Sequence

import torch

from riemaug.config import GeneratorConfig
from riemaug.errors import InvalidInputError
from riemaug.models.conditional import sides_of
from riemaug.training import TrainingConfig
from riemaug.training.precision import Precision

COLUMNS_IN_ORDER = (
    "DATA is a table: --network conv slides over its columns as over a signal; leave it out if their order "
    "means nothing."
)


def check_choices(generator: GeneratorConfig, shape: tuple[int, ...], num_sides: int = 0) -> None:
    """Refuse choices that would do nothing.

    Parameters
    ----------
    generator : GeneratorConfig
        With its preset decided.
    shape : tuple of int
        Of one sample.
    num_sides : int
        See `riemaug.models.conditional.channel_axis_of`.

    Raises
    ------
    InvalidInputError
    """
    if generator.preset == "paper" and generator.sharing != "measured":
        raise InvalidInputError(
            f"--sharing {generator.sharing} is of --preset conditional, the preset is paper, which has a "
            "model of its own for each class: choose --preset conditional or leave --sharing out"
        )
    for name in ("bandwidth", "regularization"):
        if generator.model != "rhvae" and getattr(generator, name) is not None:
            raise InvalidInputError(
                f"--{name} is of the metric of --model rhvae, model {generator.model} has none: leave it out"
            )
    if generator.augment_training and len(sides_of(shape, num_sides)) not in (2, 3):
        found = f"a table of {shape[0]} columns" if len(shape) == 1 else f"samples of shape {shape}"
        raise InvalidInputError(
            f"--augment-training turns images and volumes, DATA has {found}: leave it out"
        )


def notes_on_choices(generator: GeneratorConfig, shape: tuple[int, ...]) -> tuple[str, ...]:
    """Return what the user may not have meant."""
    return (COLUMNS_IN_ORDER,) if generator.network == "conv" and len(shape) == 1 else ()


def check_precision(training: TrainingConfig, device: str) -> None:
    """Refuse a precision that the device cannot compute in."""
    try:
        Precision(training.precision, torch.device(device))
    except InvalidInputError as error:
        raise InvalidInputError(f"--{error}") from None  # which begins with the option's name


def check_validation(
    training: TrainingConfig,
    class_names: Sequence[str],
    class_sizes: Sequence[int],
    shared: bool,
    where: str = "",
    num_subjects: Sequence[int] | None = None,
) -> None:
    """Refuse a share for validation that is no sample of a model's training samples.

    Parameters
    ----------
    training : TrainingConfig
    class_names : sequence of str
    class_sizes : sequence of int
        Samples of each class that are trained on.
    shared : bool
        One model is trained on all classes.
    where : str
        In which training, if it is not the real one.
    num_subjects : sequence of int, optional
        Of each class, where they are known: those of one subject are trained on, or held out, together.

    Raises
    ------
    InvalidInputError
    """
    if training.monitor != "validation":
        return
    fraction = training.validation_fraction
    kept = [min(round(fraction * size), size - 1) for size in class_sizes]
    subjects = num_subjects or class_sizes
    alone = [name for name, number in zip(class_names, subjects, strict=True) if number < 2]
    if num_subjects is not None and alone and (not shared or len(alone) == len(class_names)):
        raise InvalidInputError(
            f"--validation-fraction keeps whole subjects apart, class {alone[0]!r} has one: leave the option"
            " out"
        )
    if (any if shared else all)(count > 0 for count in kept):
        return
    without = [
        (size, name) for size, name, count in zip(class_sizes, class_names, kept, strict=True) if count < 1
    ]
    size, name = max(without) if shared else min(without)
    enough = math.ceil(100 * min(0.5, 0.6 / size)) / 100
    way_out = f"use {enough:g} or more, or leave it out" if size > 1 else "leave it out"
    raise InvalidInputError(
        f"--validation-fraction keeps a share of each class apart, {fraction:g} of the {size} samples of "
        f"class {name!r}{where} is none: {way_out}"
    )
