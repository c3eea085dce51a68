"""Names of the baselines."""

import pytest

from riemaug.baselines.batch_transforms import AffineElastic, MixUp
from riemaug.baselines.classic import ClassicAugmentation
from riemaug.baselines.deep import DeepGenerator
from riemaug.baselines.registry import BASELINES, TRANSFORMS, baseline_named, transform_named
from riemaug.baselines.smote import Smote
from riemaug.errors import InvalidInputError


def test_every_name_is_another_generator() -> None:
    generators = [baseline_named(name) for name in BASELINES]
    names = [generator.name for generator in generators]
    assert len(set(names)) == len(BASELINES) == 16
    kinds = {type(generator) for generator in generators}
    assert kinds == {ClassicAugmentation, Smote, DeepGenerator}


def test_jobs_and_device_reach_the_models() -> None:
    generator = baseline_named("walk", num_jobs=3, device="cuda")
    assert isinstance(generator, DeepGenerator)
    assert (generator.model, generator.law) == ("rhvae", "walk")
    assert (generator.num_jobs, generator.device) == (3, "cuda")


def test_transforms_by_name() -> None:
    assert TRANSFORMS == ("affine-elastic", "mixup")
    assert transform_named("affine-elastic") == AffineElastic()
    assert transform_named("mixup") == MixUp()


def test_unknown_names_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="a baseline is one of classic-x5, .*, got 'gan'"):
        baseline_named("gan")
    with pytest.raises(InvalidInputError, match="a transform is one of affine-elastic, mixup, got 'cutout'"):
        transform_named("cutout")
