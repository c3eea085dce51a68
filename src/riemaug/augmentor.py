"""`Augmentor`: fit, sample, save and load from Python, on arrays."""

import secrets
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped
from numpy.typing import ArrayLike
from pydantic import ValidationError
from sklearn.base import BaseEstimator

from riemaug.config import GeneratorConfig, SamplingConfig
from riemaug.data import RangeScaler
from riemaug.data.arrays import dataset_of_arrays
from riemaug.errors import InvalidInputError, NotFittedError
from riemaug.parallel import one_thread, run_tasks
from riemaug.run.plan import Plan, plan_for
from riemaug.run.tasks import ClassJob, FitSpec, load_fitted, run_class_job
from riemaug.run.workdir import WorkDir
from riemaug.serialization import FittedGenerators, load_generators, save_generators


class Augmentor(BaseEstimator):
    """Learns one generator a class and draws new samples in the data's own shape, dtype and range.

    Parameters
    ----------
    preset : "paper"
        One perceptron model a class, two latent dimensions (the paper's Tables 4 and 5).
    model : "rhvae" or "vae"
    sampler : str, optional
        Which law new latent points are drawn from, and how. "mixture": independent draws of the paper's
        Eq. 3; "walk": exact Riemannian random walk; "hmc": Hamiltonian Monte Carlo; "prior": the standard
        normal. "walk-paper" and "walk-paper-code" are the paper's algorithm as printed and with the sign of
        its authors' code; neither samples Eq. 3, they are for comparison. By default the mixture sampler, or
        the prior for a plain VAE.
    latent_dim, bandwidth, regularization, likelihood, max_epochs : optional
        Override the preset; see `riemaug.config.GeneratorConfig`.
    inverse_temperature : float
        b > 0; draws of the mixture sampler, the walk and HMC follow pi^b.
    random_state : int, optional
        None draws a seed at `fit`, kept as `random_state_`.
    device : str
    n_jobs : int, optional
        Classes trained at once; None takes as many as cores and memory allow.

    Attributes
    ----------
    classes_ : ndarray
        The labels, sorted.
    generators_ : FittedGenerators
        Models, metrics, scaler, training histories.
    """

    def __init__(
        self,
        preset: str = "paper",
        *,
        model: str = "rhvae",
        sampler: str | None = None,
        latent_dim: int | None = None,
        bandwidth: float | None = None,
        regularization: float | None = None,
        likelihood: str | None = None,
        max_epochs: int | None = None,
        inverse_temperature: float = 1.0,
        random_state: int | None = None,
        device: str = "auto",
        n_jobs: int | None = None,
    ) -> None:
        self.preset = preset
        self.model = model
        self.sampler = sampler
        self.latent_dim = latent_dim
        self.bandwidth = bandwidth
        self.regularization = regularization
        self.likelihood = likelihood
        self.max_epochs = max_epochs
        self.inverse_temperature = inverse_temperature
        self.random_state = random_state
        self.device = device
        self.n_jobs = n_jobs

    def fit(self, X: ArrayLike, y: ArrayLike) -> "Augmentor":
        """Train one model a class.

        Parameters
        ----------
        X : array-like (n, ...)
            Samples of any shape and real dtype. Two axes: a table, scaled column by column; more:
            images or volumes, scaled as a whole.
        y : array-like (n,)
            Labels; at least two samples each.

        Raises
        ------
        InvalidInputError, ResourceError, TrainingError
        """
        seed = secrets.randbits(31) if self.random_state is None else int(self.random_state)
        generator = self._generator_config(seed)
        self._sampling_config(seed).check_against(generator.model)
        dataset = dataset_of_arrays(np.asarray(X), np.asarray(y))
        plan = plan_for(dataset, generator, (0,) * len(dataset.class_names), _num_jobs(self.n_jobs))
        with tempfile.TemporaryDirectory(prefix="riemaug-") as folder:
            classes = _fit_classes(plan, WorkDir(Path(folder)), generator.seed)
        self.generators_ = FittedGenerators(
            classes,
            generator,
            plan.scaler,
            dataset.format,
            dataset.label_values,
            dataset.counts,
            dataset.fingerprint(),
        )
        self.classes_ = _labels(self.generators_)
        self.random_state_ = seed
        return self

    def sample(
        self, num_samples: int | Mapping[Any, int], random_state: int | None = None
    ) -> tuple[Shaped[np.ndarray, "m ..."], Shaped[np.ndarray, " m"]]:
        """Draw new samples.

        Parameters
        ----------
        num_samples : int or mapping
            So many for each class, or for each label named.
        random_state : int, optional
            By default the estimator's: the same call gives the same samples. Pass other numbers for
            further ones.

        Returns
        -------
        (X, y) : ndarray (m, ...), ndarray (m,)
            Grouped by class, in the shape, dtype and range of the training data.

        Raises
        ------
        NotFittedError, InvalidInputError, SamplingError
        """
        fitted = self._fitted()
        counts = self._counts(num_samples)
        config = self._sampling_config(self.random_state_ if random_state is None else random_state)
        shape = fitted.sample_format.model_shape
        parts = [np.empty((0, *shape), fitted.sample_format.dtype)]
        with one_thread():
            for item, count in zip(fitted.classes, counts, strict=True):
                draws = item.sampler(config).sample(count, item.draw_stream(config.seed))
                unit = item.decode(draws.points).numpy().reshape(count, *shape)
                parts.append(fitted.scaler.inverse(unit))
        return np.concatenate(parts), np.repeat(self.classes_, counts)

    def save(self, folder: str | Path) -> None:
        """Write `model.safetensors` and `model.json` into `folder`."""
        sampling = self._sampling_config(self._fitted().config.seed)
        save_generators(Path(folder), replace(self._fitted(), sampling=sampling))

    @classmethod
    def load(cls, folder: str | Path) -> "Augmentor":
        """Return the augmentor saved in `folder`; InvalidInputError if the files are damaged."""
        generators = load_generators(Path(folder))
        config, sampling = generators.config, generators.sampling or SamplingConfig()
        augmentor = cls(
            config.preset,
            model=config.model,
            sampler=sampling.sampler,
            latent_dim=config.latent_dim,
            bandwidth=config.bandwidth,
            regularization=config.regularization,
            likelihood=config.likelihood,
            max_epochs=config.max_epochs,
            inverse_temperature=sampling.inverse_temperature,
            random_state=config.seed,
            device=config.device,
        )
        augmentor.generators_ = generators
        augmentor.random_state_ = config.seed
        augmentor.classes_ = _labels(generators)
        return augmentor

    @property
    def scaler_(self) -> RangeScaler:
        """The fitted scaling between the data's range and [0, 1]."""
        return self._fitted().scaler

    def _fitted(self) -> FittedGenerators:
        if not hasattr(self, "generators_"):
            raise NotFittedError(
                "this Augmentor must be fitted before it can sample or be saved: call fit(X, y)"
            )
        return self.generators_

    def _counts(self, num_samples: int | Mapping[Any, int]) -> list[int]:
        if not isinstance(num_samples, Mapping):
            wanted = dict.fromkeys(self.classes_.tolist(), num_samples)
        else:
            wanted = dict(num_samples)
        unknown = [label for label in wanted if label not in self.classes_.tolist()]
        if unknown:
            known = ", ".join(map(str, self.classes_.tolist()[:10]))
            raise InvalidInputError(
                f"samples can be drawn of classes seen in fit ({known}), got {unknown[0]!r}"
            )
        counts = [wanted.get(label, 0) for label in self.classes_.tolist()]
        if not all(isinstance(count, Real) and count >= 0 and count % 1 == 0 for count in counts):
            raise InvalidInputError(f"numbers of samples must be integers of 0 or more, got {num_samples!r}")
        return [int(count) for count in counts]

    def _generator_config(self, seed: int) -> GeneratorConfig:
        return _validated(
            GeneratorConfig,
            preset=self.preset,
            model=self.model,
            latent_dim=self.latent_dim,
            bandwidth=self.bandwidth,
            regularization=self.regularization,
            likelihood=self.likelihood,
            max_epochs=self.max_epochs,
            seed=seed,
            device=self.device,
        )

    def _sampling_config(self, seed: int) -> SamplingConfig:
        return _validated(
            SamplingConfig, sampler=self.sampler, inverse_temperature=self.inverse_temperature, seed=seed
        )


def _num_jobs(n_jobs: int | None) -> int | None:
    """Return the number of processes; scikit-learn's -1 means as many as pay, like None."""
    if n_jobs is None or n_jobs == -1:
        return None
    if n_jobs < 1:
        raise InvalidInputError(f"n_jobs must be 1 or more, -1 or None, got {n_jobs}")
    return n_jobs


def _labels(generators: FittedGenerators) -> np.ndarray:
    """Return the classes' labels as the user knows them."""
    values = generators.label_values
    return np.array(generators.class_names) if values is None else values


def _validated(kind: type, **values: Any) -> Any:
    """Return a configuration, its first fault as one line."""
    try:
        return kind(**values)
    except ValidationError as error:
        fault = error.errors()[0]
        name = ".".join(map(str, fault["loc"]))
        raise InvalidInputError(f"{name}: {fault['msg']}, got {fault['input']!r}") from None


def _fit_classes(plan: Plan, work: WorkDir, seed: int) -> tuple:
    dataset = plan.dataset
    jobs = []
    for index, name in enumerate(dataset.class_names):
        sources = tuple(dataset.names[i] for i in (dataset.labels == index).nonzero()[0])
        spec = FitSpec(dataset.of_class(index), sources, plan.model, plan.training, seed, plan.device)
        jobs.append(ClassJob(index, name, work, plan.scaler, fit=spec))
    list(run_tasks(run_class_job, jobs, plan.estimate.num_jobs))
    return tuple(load_fitted(work, index) for index in range(len(jobs)))
