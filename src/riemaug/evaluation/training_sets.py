"""The training sets that are compared: real samples, synthetic ones, classic augmentation, and mixtures."""

from dataclasses import dataclass

from riemaug.baselines.classic import ClassicAugmentation
from riemaug.errors import InvalidInputError
from riemaug.evaluation.classifiers import layout_of
from riemaug.evaluation.samples import LabelledSamples
from riemaug.evaluation.set_names import TRAINED_ON, WITH_CLASSIC, TrainedOn
from riemaug.evaluation.settings import EvaluationConfig
from riemaug.random import Stream


@dataclass(frozen=True, eq=False)
class Material:
    """All samples of one evaluation, or of one fold, scaled alike.

    Attributes
    ----------
    training : LabelledSamples
        Real samples that classifiers are trained on.
    validation : LabelledSamples
        Real samples by which trainings stop.
    synthetic : LabelledSamples
    test : LabelledSamples or None
        Held-out real samples; without them fidelity and copying alone are judged.
    class_names : tuple of str
    fold : int
        0 where there are no folds.
    validation_was_shown : bool
        Whether the generator has seen the validation samples, too.
    """

    training: LabelledSamples
    validation: LabelledSamples
    synthetic: LabelledSamples
    test: LabelledSamples | None
    class_names: tuple[str, ...]
    fold: int = 0
    validation_was_shown: bool = True

    @property
    def shown(self) -> LabelledSamples:
        """The real samples that the generator has seen: classifiers learn from the same in the end."""
        return self.training.joined(self.validation) if self.validation_was_shown else self.training


def training_set(
    name: TrainedOn, real: LabelledSamples, material: Material, factor: int, stream: Stream
) -> LabelledSamples:
    """Return one of the training sets.

    Parameters
    ----------
    name : str
        See `EvaluationConfig.trained_on`.
    real : LabelledSamples
        Its real samples, where it has any: `material.training` or `material.shown`.
    material : Material
    factor : int
        Of classic augmentation.
    stream : Stream
        Draws the classic transforms; the same stream gives the same for "classic" and "all".
    """
    if name == "synthetic":
        return material.synthetic
    parts = []
    if name in WITH_CLASSIC:
        parts.append(_classic(real, len(material.class_names), factor, stream))
    if name in ("both", "all"):
        parts.append(material.synthetic)
    return real.joined(*parts)


def final_training_set(
    name: TrainedOn, material: Material, factor: int, stream: Stream
) -> LabelledSamples | None:
    """Return what a training on a set is repeated on once it is known for how long; None for nothing.

    A generator that has seen the validation samples can hand them on in its own. Where all sets learn from
    them in the end, a copy of one tells a classifier nothing that real samples alone do not.

    Parameters
    ----------
    name, material, factor, stream
        See `training_set`.
    """
    if name == "synthetic" or not material.validation_was_shown:
        return None
    return training_set(name, material.shown, material, factor, stream)


def _classic(real: LabelledSamples, num_classes: int, factor: int, stream: Stream) -> LabelledSamples:
    method = ClassicAugmentation(factor)
    counts = method.counts_for(real.counts(num_classes))
    return method.fit(real, num_classes, stream).sample(counts, stream)


def chosen_sets(
    config: EvaluationConfig, shape: tuple[int, ...], synthetic_classes: int, num_sides: int = 0
) -> tuple[tuple[TrainedOn, ...], list[str]]:
    """Return the training sets that are compared, and notes on those that cannot be.

    Parameters
    ----------
    config : EvaluationConfig
    shape : tuple of int
        Of one sample.
    synthetic_classes : int
        Classes that have synthetic samples.
    num_sides : int
        See `LabelledSamples.num_sides`.

    Raises
    ------
    InvalidInputError
        A set that was asked for cannot be.
    """
    lacking: dict[str, str] = {}
    layout = layout_of(shape, num_sides)
    if layout is None or len(layout.sides) not in (2, 3):
        lacking |= dict.fromkeys(WITH_CLASSIC, "classic augmentation is of images and volumes only")
    if synthetic_classes < 2:
        lacking["synthetic"] = "a classifier needs synthetic samples of two classes or more"
    asked: tuple[TrainedOn, ...] = config.trained_on or TRAINED_ON
    if config.trained_on is not None:
        for name in config.trained_on:
            if name in lacking:
                raise InvalidInputError(f"{lacking[name]}: leave out --trained-on {name}")
    kept: tuple[TrainedOn, ...] = tuple(
        name for name in TRAINED_ON if name == "real" or (name in asked and name not in lacking)
    )
    reasons = [reason for name, reason in lacking.items() if name in asked]
    return kept, [f"Not every training set was compared: {reason}." for reason in dict.fromkeys(reasons)]


def sizes_of(sets: tuple[TrainedOn, ...], material: Material, factor: int) -> dict[str, int]:
    """Return how many samples each training set has in the end."""
    real, synthetic = len(material.shown), len(material.synthetic)
    sizes = {
        "real": real,
        "synthetic": synthetic,
        "both": real + synthetic,
        "classic": factor * real,
        "all": factor * real + synthetic,
    }
    return {name: sizes[name] for name in sets}
