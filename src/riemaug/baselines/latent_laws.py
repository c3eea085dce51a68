"""Laws of new latent points of a class: the package's samplers, and what is made of encoded samples."""

import warnings
from abc import ABC, abstractmethod

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from riemaug.baselines.smote import interpolated
from riemaug.class_model import ClassModel
from riemaug.geometry import PosteriorPrecisionMetric
from riemaug.random import Stream
from riemaug.samplers import HMC, Sampler

MOST_COMPONENTS = 10
SAMPLES_A_COMPONENT = 5
"""A mixture has at most one component for so many samples."""
_ROWS_AT_ONCE = 1024


class LatentLaw(ABC):
    """A law on the latent space of one class."""

    @abstractmethod
    def draw(self, count: int, stream: Stream) -> Float[Tensor, "m dim"]:
        """Return `count` draws, float64; the same for the same stream."""


class SamplerLaw(LatentLaw):
    """What one of the package's samplers draws from.

    Parameters
    ----------
    sampler : Sampler
    """

    def __init__(self, sampler: Sampler) -> None:
        self.sampler = sampler

    def draw(self, count: int, stream: Stream) -> Float[Tensor, "m dim"]:
        """Return the sampler's draws. See `LatentLaw.draw`."""
        return self.sampler.sample(count, stream).points


class PosteriorPrecisionLaw(SamplerLaw):
    """The density sqrt det G of a plain VAE's own metric, by Hamiltonian Monte Carlo.

    Chadebec and Allassonniere 2022, "A geometric perspective on variational autoencoders". See
    `riemaug.geometry.PosteriorPrecisionMetric`; the chains begin at encoded samples.

    Parameters
    ----------
    metric : PosteriorPrecisionMetric
    """

    def __init__(self, metric: PosteriorPrecisionMetric) -> None:
        super().__init__(HMC(metric))


class GaussianMixtureLaw(LatentLaw):
    """A mixture of normal laws with full covariances, fitted to encoded samples by scikit-learn.

    Of 1 to 10 components, at most one for five samples, the number with the smallest BIC is taken.

    Parameters
    ----------
    points : ndarray (n, d)
        At least 2.
    stream : Stream
        Where the fit begins.

    Attributes
    ----------
    weights : ndarray (K,)
    means : ndarray (K, d)
    factors : ndarray (K, d, d)
        Lower Cholesky factors of the covariances.
    """

    def __init__(self, points: Float[np.ndarray, "n dim"], stream: Stream) -> None:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.mixture import GaussianMixture

        most = max(1, min(MOST_COMPONENTS, len(points) // SAMPLES_A_COMPONENT))
        models = [
            GaussianMixture(number, n_init=3, random_state=stream.generator_seed())
            for number in range(1, most + 1)
        ]
        with warnings.catch_warnings():
            # a number of components that EM does not settle on competes by its BIC like the others
            warnings.simplefilter("ignore", ConvergenceWarning)
            best = min((model.fit(points) for model in models), key=lambda model: model.bic(points))
        self.weights: np.ndarray = np.asarray(best.weights_)
        self.means: np.ndarray = np.asarray(best.means_)
        self.factors = np.linalg.cholesky(np.asarray(best.covariances_))

    def draw(self, count: int, stream: Stream) -> Float[Tensor, "m dim"]:
        """Return independent draws of the mixture. See `LatentLaw.draw`."""
        generator = np.random.default_rng(stream.generator_seed())
        component = generator.choice(len(self.weights), size=count, p=self.weights / self.weights.sum())
        noise = generator.standard_normal((count, self.means.shape[1]))
        moved = np.einsum("nij,nj->ni", self.factors[component], noise)
        return torch.from_numpy(self.means[component] + moved)


class InterpolationLaw(LatentLaw):
    """SMOTE between encoded samples; see `riemaug.baselines.smote`.

    Parameters
    ----------
    points : ndarray (n, d)
        At least 2.
    """

    def __init__(self, points: Float[np.ndarray, "n dim"]) -> None:
        self.points = points

    def draw(self, count: int, stream: Stream) -> Float[Tensor, "m dim"]:
        """Return points between neighbours. See `LatentLaw.draw`."""
        return torch.from_numpy(interpolated(self.points, count, stream))


def encoded_law(name: str, item: ClassModel, data: Float[Tensor, "n D"], stream: Stream) -> LatentLaw:
    """Return a law made of a class's encoded training samples.

    Parameters
    ----------
    name : "latent-gaussian-mixture", "latent-smote" or "posterior-precision"
    item : ClassModel
    data : Tensor (n, D)
        The class's training samples, scaled to [0, 1].
    stream : Stream
        Of a fit, where there is one.
    """
    if name == "posterior-precision":
        metric = PosteriorPrecisionMetric.of(item.model, data.to(item.model.device)).cpu()
        return PosteriorPrecisionLaw(metric)
    points = encoded_means(item, data)
    return InterpolationLaw(points) if name == "latent-smote" else GaussianMixtureLaw(points, stream)


@torch.no_grad()
def encoded_means(item: ClassModel, data: Float[Tensor, "n D"]) -> Float[np.ndarray, "n dim"]:
    """Return the posterior means of samples of a class, float64, (n, d)."""
    parts = [
        item.model.embed(part.to(item.model.device), item.condition(len(part)))
        for part in data.split(_ROWS_AT_ONCE)
    ]
    return torch.cat(parts).double().cpu().numpy()
