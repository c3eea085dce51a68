"""The generation methods that Figures 2 to 4 compare: a model, and the law of its latent points."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int64
from torch import Tensor

from riemaug.class_model import ClassModel, fit_class
from riemaug.config import SamplingConfig
from riemaug.models.config import ModelKind, paper_model
from riemaug.parallel import run_tasks
from riemaug.random import Stream
from riemaug.samplers import ChainOptions, PaperWalk, RiemannianRandomWalk, Sampler
from riemaug.training.config import TrainingConfig, paper_training

PATIENCE = 50
"""Epochs without a better ELBO after which training stops (paper, Appendix A)."""
NUM_DRAWS = 100
"""Draws of each method: those of Figure 2; the other figures show the first of them."""
CHAINS = ChainOptions(num_steps=200)
"""Of the walks; each chain gives one draw, its last state."""
_SUB_STEPS, _SIGMA = 10, 0.5
_NORMAL = r"prior $\mathcal{N}(0, I)$"

OnFit = Callable[[int, int], None]
"""Told how many of the models are fitted, and of how many."""


@dataclass(frozen=True)
class Method:
    """A kind of model and a law on its latent space.

    Attributes
    ----------
    model, law : str
        What the figures call the model and the law.
    short_law : str
        The law for the margin of a page, in one line or two.
    kind : "vae", "vamp" or "rhvae"
    sampler : "prior", "walk", "walk-paper" or "walk-paper-code"
    """

    model: str
    law: str
    short_law: str
    kind: ModelKind
    sampler: str

    def sampler_of(self, item: ClassModel) -> Sampler:
        """Return the law over the latent space of a fitted model.

        Walks are those of the paper's Appendix A: chains of 200 steps from random centroids, Sigma = 0.5 I,
        10 sub-steps a geodesic.
        """
        if self.sampler == "prior":
            return item.sampler(SamplingConfig(sampler="prior"))
        assert item.metric is not None
        if self.sampler == "walk":
            return RiemannianRandomWalk(
                item.metric, num_integration_steps=_SUB_STEPS, covariance=_SIGMA, chains=CHAINS
            )
        return PaperWalk(
            item.metric,
            published_sign=self.sampler == "walk-paper-code",
            num_integration_steps=_SUB_STEPS,
            covariance=_SIGMA,
            chains=CHAINS,
        )


VAE = Method("VAE", _NORMAL, _NORMAL, "vae", "prior")
VAMP = Method("VAE", "VAMP prior", "VAMP prior", "vamp", "prior")
RHVAE_PRIOR = Method("RHVAE", _NORMAL, _NORMAL, "rhvae", "prior")
WALK = Method("RHVAE", "walk, exact", "walk, exact", "rhvae", "walk")
WALK_PAPER = Method("RHVAE", "walk, Alg. 1 as printed", "walk, Alg. 1\nas printed", "rhvae", "walk-paper")
WALK_PAPER_CODE = Method(
    "RHVAE", "walk, published code's sign", "walk, published\ncode's sign", "rhvae", "walk-paper-code"
)
WALKS = (WALK, WALK_PAPER, WALK_PAPER_CODE)
METHODS = (VAE, VAMP, RHVAE_PRIOR, *WALKS)
"""The paper's four, its walk made exact, and that walk in the two forms of the paper."""


@dataclass(frozen=True, eq=False)
class MethodDraws:
    """What one method drew.

    Attributes
    ----------
    method : Method
    points : ndarray (n, 2)
        In latent space.
    images : ndarray (n, height, width)
        Decoded, in [0, 1].
    """

    method: Method
    points: Float64[np.ndarray, "n 2"]
    images: Float32[np.ndarray, "n height width"]


@dataclass(frozen=True, eq=False)
class FitTask:
    """One model to fit.

    Attributes
    ----------
    name : str
        Of the data; part of the random stream, so models of one set begin alike.
    images : ndarray (n, height, width)
    kind : "vae", "vamp" or "rhvae"
    seed : int
    max_epochs : int or None
        Stop after so many epochs; None stops by `PATIENCE` alone.
    """

    name: str
    images: Float32[np.ndarray, "n height width"]
    kind: ModelKind
    seed: int
    max_epochs: int | None = None

    def training(self) -> TrainingConfig:
        """Return the paper's training for data of this size, with the stopping rule of Appendix A."""
        changes = {"patience": PATIENCE}
        if self.max_epochs is not None:
            changes["max_epochs"] = self.max_epochs
        return paper_training(self.images[0].size).model_copy(update=changes)


def tasks_of(
    name: str,
    images: Float32[np.ndarray, "n height width"],
    methods: Sequence[Method],
    seed: int,
    max_epochs: int | None,
) -> dict[ModelKind, FitTask]:
    """Return the models that some methods need, by kind."""
    return {method.kind: FitTask(name, images, method.kind, seed, max_epochs) for method in methods}


def rows_of(images: Float32[np.ndarray, "n height width"]) -> Tensor:
    """Return images as rows of float32, (n, D)."""
    return torch.from_numpy(np.array(images.reshape(len(images), -1)))


def fit_task(task: FitTask) -> ClassModel:
    """Fit one model with the paper's networks and constants (Tables 4 and 5)."""
    rows = rows_of(task.images)
    sources = tuple(f"row {number}" for number in range(len(rows)))
    return fit_class(
        task.name, rows, sources, paper_model(rows.shape[1], task.kind), task.training(), task.seed
    )


def fit_tasks(tasks: Sequence[FitTask], num_jobs: int = 1, on_fit: OnFit | None = None) -> list[ClassModel]:
    """Fit models, several at once with `num_jobs` > 1, each the same as when fitted alone.

    Raises
    ------
    TrainingError
        Training diverged for good; the message names the data.
    ResourceError
        A worker process was ended from outside.
    """
    fitted = []
    for item in run_tasks(fit_task, tasks, num_jobs):
        fitted.append(item)
        if on_fit is not None:
            on_fit(len(fitted), len(tasks))
    return fitted


def draw_with(
    method: Method, item: ClassModel, shape: tuple[int, ...], seed: int, count: int = NUM_DRAWS
) -> MethodDraws:
    """Draw latent points by a method and decode them.

    The first draws are the same whatever their number, and the same in each figure.
    """
    stream = Stream(seed, ("study", "figures", item.name, method.kind, method.sampler))
    points = method.sampler_of(item).sample(count, stream).points
    images = item.decode(points).reshape(count, *shape).numpy()
    return MethodDraws(method, points.double().numpy(), images)


@torch.no_grad()
def encodings(item: ClassModel, images: Float32[np.ndarray, "n height width"]) -> Float64[np.ndarray, "n 2"]:
    """Return the posterior means of images, in latent space."""
    if item.metric is not None:
        return item.metric.centroids.double().numpy()
    return item.model.embed(rows_of(images)).double().numpy()


def epochs_of(item: ClassModel) -> int:
    """Return how many epochs a model was trained for."""
    return len(item.history.elbo)


def nearest_images(
    images: Float32[np.ndarray, "n height width"], real: Float32[np.ndarray, "m height width"]
) -> Int64[np.ndarray, " n"]:
    """Return the number of each image's nearest real one, by squared differences of pixels."""
    rows, others = (part.reshape(len(part), -1).astype(np.float64) for part in (images, real))
    squares = (others**2).sum(1)[None, :] - 2 * rows @ others.T
    return squares.argmin(1).astype(np.int64)
