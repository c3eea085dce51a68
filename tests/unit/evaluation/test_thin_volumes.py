"""Volumes of few slices are volumes to whatever judges them, not images with channels."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from riemaug.baselines.classic import ClassicAugmentation
from riemaug.data import Dataset, SampleFormat
from riemaug.data.arrays import dataset_of_arrays
from riemaug.errors import InvalidInputError
from riemaug.evaluation import evaluate_gain
from riemaug.evaluation.classifiers import NetworkClassifier, layout_of
from riemaug.evaluation.networks import DenseNet, PaperCNN, Perceptron, SmallCNN
from riemaug.evaluation.samples import LabelledSamples
from riemaug.evaluation.settings import EvaluationConfig
from riemaug.evaluation.training import ClassifierTraining
from riemaug.random import Stream

FORMATS = {
    "three slices as a stack": SampleFormat("stacks", (3, 8, 8), "uint8", ".tiff", None, False),
    "four slices as npy": SampleFormat("npy", (4, 8, 8), "uint8", ".npy", None, False),
    "four slices last": SampleFormat("npy", (8, 8, 4), "uint8", ".npy", None, False),
    "colours": SampleFormat("folder", (8, 8, 3), "uint8", ".png", None, False),
}
SEEN = {
    "three slices as a stack": (1, 3, 8, 8),
    "four slices as npy": (1, 4, 8, 8),
    "four slices last": (1, 8, 8, 4),
    "colours": (3, 8, 8),
}


def samples(shape: tuple[int, ...], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return 24 samples of two classes."""
    values = np.random.default_rng(seed).integers(0, 200, (24, *shape)).astype(np.uint8)
    labels = np.arange(24) % 2
    values[labels == 1] += 55
    return values, labels


def of_format(fmt: SampleFormat, seed: int) -> Dataset:
    values, labels = samples(fmt.shape, seed)
    plain = dataset_of_arrays(values, labels)
    return Dataset(values, plain.labels, plain.class_names, plain.names, None, fmt, None, ())


@pytest.fixture
def seen() -> list[tuple[int, ...]]:
    return []


@pytest.fixture
def config(seen: list[tuple[int, ...]]) -> Callable[..., EvaluationConfig]:
    """Returns settings with a network that tells which shape it was made for."""

    def build(shape: tuple[int, ...], num_classes: int, stream: Stream) -> nn.Module:
        seen.append(shape)
        return Perceptron(shape, num_classes, stream)

    spy = NetworkClassifier(build, "spy", ClassifierTraining(max_epochs=1))

    def configured(**choices: object) -> EvaluationConfig:
        few = {"seeds": 1, "fidelity": False, "copying": False, "jobs": 1, "trained_on": ("classic",)}
        return EvaluationConfig.model_validate({"classifiers": (spy,), **few, **choices})

    return configured


@pytest.mark.parametrize("name", FORMATS)
def test_the_format_of_files_tells_what_networks_see(
    name: str, seen: list[tuple[int, ...]], config: Callable[..., EvaluationConfig]
) -> None:
    real, synthetic, test = (of_format(FORMATS[name], seed) for seed in range(3))
    evaluate_gain(real, synthetic, test, config())
    assert set(seen) == {SEEN[name]}


@pytest.mark.parametrize(("num_sides", "shape"), [(0, (3, 8, 8)), (3, (1, 3, 8, 8))])
def test_of_arrays_the_user_can_tell(
    num_sides: int,
    shape: tuple[int, ...],
    seen: list[tuple[int, ...]],
    config: Callable[..., EvaluationConfig],
) -> None:
    real, synthetic, test = (samples((3, 8, 8), seed) for seed in range(3))
    evaluate_gain(real, synthetic, test, config(num_sides=num_sides))
    assert set(seen) == {shape}


def test_classic_augmentation_moves_along_all_sides_of_a_thin_volume() -> None:
    values, labels = samples((3, 8, 8), 0)
    training = LabelledSamples(values.astype(np.float32) / 255, labels.astype(np.int64), 3)
    fitted = ClassicAugmentation(5).fit(training, 2, Stream(0))
    assert fitted.layout == layout_of((3, 8, 8), 3)
    assert fitted.layout.sides == (3, 8, 8)
    drawn = fitted.sample([2, 2], Stream(0))
    assert (drawn.shape, drawn.num_sides) == ((3, 8, 8), 3)
    assert training.joined(drawn).take(np.arange(5)).num_sides == 3


@pytest.mark.parametrize("build", [SmallCNN, PaperCNN, DenseNet])
@pytest.mark.parametrize("sides", [(3, 8, 8), (8, 9, 4), (8, 2, 8), (1, 8, 8)])
def test_networks_take_volumes_of_few_slices(build: type[nn.Module], sides: tuple[int, ...]) -> None:
    network = build((1, *sides), 2, Stream(0))
    assert network(torch.rand(3, 1, *sides, generator=torch.Generator().manual_seed(0))).shape == (3, 2)


@pytest.mark.parametrize("build", [SmallCNN, PaperCNN, DenseNet])
@pytest.mark.parametrize("sides", [(3, 8), (3, 3, 8)])
def test_networks_refuse_what_is_too_small(build: type[nn.Module], sides: tuple[int, ...]) -> None:
    with pytest.raises(InvalidInputError, match="4 or more along each side"):
        build((1, *sides), 2, Stream(0))
