"""All generators and transforms of batches that are compared, by name."""

from riemaug.baselines.base import SampleGenerator
from riemaug.baselines.batch_transforms import AffineElastic, MixUp
from riemaug.baselines.classic import FACTORS, ClassicAugmentation
from riemaug.baselines.deep import DeepGenerator
from riemaug.baselines.smote import Smote
from riemaug.errors import InvalidInputError
from riemaug.evaluation.training import BatchTransform

_CLASSIC = {f"classic-x{factor}": factor for factor in FACTORS}
_DEEP: dict[str, tuple[str, str]] = {
    "latent-smote": ("vae", "latent-smote"),
    "vae-prior": ("vae", "prior"),
    "vamp-prior": ("vamp", "prior"),
    "rhvae-prior": ("rhvae", "prior"),
    "latent-gaussian-mixture": ("vae", "latent-gaussian-mixture"),
    "vae-metric": ("vae", "posterior-precision"),
    "walk-paper": ("rhvae", "walk-paper"),
    "walk-paper-code": ("rhvae", "walk-paper-code"),
    "walk": ("rhvae", "walk"),
    "hmc": ("rhvae", "hmc"),
    "mixture": ("rhvae", "mixture"),
    "conditional": ("conditional", "mixture"),
}
"""Model and law of the generators that learn a latent space."""
BASELINES = (*_CLASSIC, "smote", *_DEEP)
"""Names that `baseline_named` knows."""
_TRANSFORMS = {"affine-elastic": AffineElastic, "mixup": MixUp}
TRANSFORMS = tuple(_TRANSFORMS)
"""Names that `transform_named` knows."""


def baseline_named(name: str, num_jobs: int = 1, device: str = "cpu") -> SampleGenerator:
    """Return one of the generators of `BASELINES`.

    Parameters
    ----------
    name : str
    num_jobs : int
        Classes whose models are trained at once; changes no sample.
    device : str
        Where models are trained.

    Raises
    ------
    InvalidInputError
        The name is unknown.
    """
    if name in _CLASSIC:
        return ClassicAugmentation(_CLASSIC[name])
    if name == "smote":
        return Smote()
    if name in _DEEP:
        model, law = _DEEP[name]
        return DeepGenerator(model, law, num_jobs, device)
    raise InvalidInputError(f"a baseline is one of {', '.join(BASELINES)}, got {name!r}")


def transform_named(name: str) -> BatchTransform:
    """Return one of the transforms of `TRANSFORMS`, with its default strengths.

    Raises
    ------
    InvalidInputError
        The name is unknown.
    """
    if name not in _TRANSFORMS:
        raise InvalidInputError(f"a transform is one of {', '.join(TRANSFORMS)}, got {name!r}")
    return _TRANSFORMS[name]()
