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
from torch import nn

from riemaug.class_model import Networks
from riemaug.config import GeneratorConfig, SamplingConfig
from riemaug.data import RangeScaler, restore_samples
from riemaug.data.arrays import dataset_of_arrays
from riemaug.errors import InvalidInputError, NotFittedError
from riemaug.parallel import one_thread
from riemaug.run.pipeline import gathered
from riemaug.run.plan import plan_for
from riemaug.run.stages import Stages
from riemaug.run.tuning import kept_tuning
from riemaug.run.workdir import WorkDir
from riemaug.serialization import FittedGenerators, load_generators, save_generators

_GENERATOR_FIELDS = tuple(name for name in GeneratorConfig.model_fields if name != "seed")


class Augmentor(BaseEstimator):
    """Learns generators of the classes and draws new samples in the data's own shape, dtype and range.

    Parameters
    ----------
    preset : "auto", "paper" or "conditional"
        "auto": "conditional" for images and volumes of several classes, 16 or more along each side, else
        "paper".
        "paper": one perceptron model a class, two latent dimensions (the paper's Tables 4 and 5);
        "conditional": one model of all classes that is told the class, with convolutions for images.
    sharing : "measured", "always" or "never"
        Of the conditional preset: whether classes share one model; "measured" rehearses both ways.
    model : "rhvae", "vae", "hvae" or "vamp"
    network : "mlp" or "conv", optional
        By default the preset's.
    encoder, decoder, metric_trunk : nn.Module, optional
        Networks of your own instead, copied for each model: what they take and return is said in
        `riemaug.models.custom`.
    sampler : str, optional
        Which law new latent points are drawn from, and how. "mixture": independent draws of the paper's
        Eq. 3; "walk": exact Riemannian random walk; "hmc": Hamiltonian Monte Carlo; "prior": the standard
        normal, or a VAMP's own prior. "walk-paper" and "walk-paper-code" are the paper's algorithm as
        printed and with the sign of its authors' code; neither samples Eq. 3, they are for comparison. By
        default the mixture sampler, or the prior for models without a metric.
    latent_dim, bandwidth, regularization, likelihood : optional
        Override the preset; see `riemaug.config.GeneratorConfig`.
    max_epochs, learning_rate, patience, training_batch_size, validation_fraction, warmup_epochs, precision
        How the models are trained, as far as it is not the preset's; see the same.
    augment_training : bool
        Transform images and volumes at random while training; the networks are told how, so that samples
        are not transformed.
    tune : int, optional
        Search the constants that are not given in so many trials, by the likelihood of held-out samples;
        needs the extra `tune`.
    tune_time : float, optional
        Seconds after which no new trial begins.
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
    sharing_ : Sharing
        Whether classes share one model, and why; only after `fit`.
    tuning_ : dict or None
        The account of a search: its outcome and a row for each trial; only after `fit`.
    """

    def __init__(
        self,
        preset: str = "auto",
        *,
        sharing: str = "measured",
        model: str = "rhvae",
        network: str | None = None,
        encoder: nn.Module | None = None,
        decoder: nn.Module | None = None,
        metric_trunk: nn.Module | None = None,
        sampler: str | None = None,
        latent_dim: int | None = None,
        bandwidth: float | None = None,
        regularization: float | None = None,
        likelihood: str | None = None,
        max_epochs: int | None = None,
        learning_rate: float | None = None,
        patience: int | None = None,
        training_batch_size: int | None = None,
        validation_fraction: float | None = None,
        warmup_epochs: int | None = None,
        precision: str | None = None,
        augment_training: bool = False,
        tune: int | None = None,
        tune_time: float | None = None,
        inverse_temperature: float = 1.0,
        random_state: int | None = None,
        device: str = "auto",
        n_jobs: int | None = None,
    ) -> None:
        self.preset = preset
        self.sharing = sharing
        self.model = model
        self.network = network
        self.encoder, self.decoder, self.metric_trunk = encoder, decoder, metric_trunk
        self.sampler = sampler
        self.latent_dim = latent_dim
        self.bandwidth = bandwidth
        self.regularization = regularization
        self.likelihood = likelihood
        self.max_epochs = max_epochs
        self.learning_rate = learning_rate
        self.patience = patience
        self.training_batch_size = training_batch_size
        self.validation_fraction = validation_fraction
        self.warmup_epochs = warmup_epochs
        self.precision = precision
        self.augment_training = augment_training
        self.tune = tune
        self.tune_time = tune_time
        self.inverse_temperature = inverse_temperature
        self.random_state = random_state
        self.device = device
        self.n_jobs = n_jobs

    def fit(self, X: ArrayLike, y: ArrayLike) -> "Augmentor":
        """Train one model a class, or one that all classes share.

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
        sampling = self._sampling_config(seed)
        sampling.check_against(generator.model)
        dataset = dataset_of_arrays(np.asarray(X), np.asarray(y))
        networks = self._networks()
        no_samples = (0,) * len(dataset.class_names)
        plan = plan_for(dataset, generator, sampling, no_samples, _num_jobs(self.n_jobs), networks)
        with tempfile.TemporaryDirectory(prefix="riemaug-") as folder:
            stages = Stages(plan, WorkDir(Path(folder)), networks=networks)
            self.sharing_, _ = stages.run()
            self.generators_ = gathered(plan, stages.fitted(self.sharing_))
            self.tuning_ = kept_tuning(stages.work)
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
        fmt = fitted.sample_format
        parts = [np.empty((0, *fmt.sample_shape), fmt.dtype)]
        with one_thread():
            for item, count in zip(fitted.classes, counts, strict=True):
                draws = item.sampler(config).sample(count, item.draw_stream(config.seed))
                unit = item.decode(draws.points).numpy().reshape(count, *fmt.model_shape)
                parts.append(restore_samples(unit, fitted.scaler, fmt))
        return np.concatenate(parts), np.repeat(self.classes_, counts)

    def save(self, folder: str | Path) -> None:
        """Write `model.safetensors` and `model.json` into `folder`."""
        sampling = self._sampling_config(self._fitted().config.seed)
        save_generators(Path(folder), replace(self._fitted(), sampling=sampling))

    @classmethod
    def load(
        cls,
        folder: str | Path,
        *,
        encoder: nn.Module | None = None,
        decoder: nn.Module | None = None,
        metric_trunk: nn.Module | None = None,
    ) -> "Augmentor":
        """Return the augmentor saved in `folder`.

        Parameters
        ----------
        folder : path
        encoder, decoder, metric_trunk : nn.Module, optional
            The networks that the augmentor was made with, if these were your own: files hold no code.

        Raises
        ------
        InvalidInputError
            The files are damaged, or the networks are not those of the model.
        """
        networks = Networks(encoder, decoder, metric_trunk)
        generators = load_generators(Path(folder), networks=networks)
        config, sampling = generators.config, generators.sampling or SamplingConfig()
        kept = {name: getattr(config, name) for name in _GENERATOR_FIELDS}
        own = config.network == "custom"
        augmentor = cls(
            **kept | {"network": None if own else config.network},
            **vars(networks),
            sampler=sampling.sampler,
            inverse_temperature=sampling.inverse_temperature,
            random_state=config.seed,
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

    def _networks(self) -> Networks:
        return Networks(self.encoder, self.decoder, self.metric_trunk)

    def _generator_config(self, seed: int) -> GeneratorConfig:
        values = {name: getattr(self, name) for name in _GENERATOR_FIELDS}
        if any(module is not None for module in vars(self._networks()).values()):
            if self.network is not None:
                raise InvalidInputError(
                    f"networks of your own stand instead of network, got {self.network!r} too: leave one out"
                )
            values["network"] = "custom"
        return _validated(GeneratorConfig, seed=seed, **values)

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
