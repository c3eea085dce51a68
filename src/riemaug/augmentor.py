"""`Augmentor`: fit, sample, save and load from Python, on arrays."""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError as SklearnNotFittedError
from torch import nn

from riemaug.atomic import remove_leftovers
from riemaug.class_model import Networks
from riemaug.config import GeneratorConfig, SamplingConfig
from riemaug.data import RangeScaler
from riemaug.errors import InvalidInputError, NotFittedError
from riemaug.estimator_draws import TrainingSet, counts_of, drawn_classes
from riemaug.estimator_features import FEATURES, features_of, features_of_format
from riemaug.estimator_input import Containers
from riemaug.estimator_parameters import RandomStateLike, num_jobs_of, seed_of, validated
from riemaug.estimator_state import GENERATOR_FIELDS, identity_of, labels_of, parameters_of
from riemaug.parallel import Engine
from riemaug.run.lock import only_run
from riemaug.run.pipeline import gathered
from riemaug.run.plan import Plan, plan_for
from riemaug.run.stages import Stages
from riemaug.run.tuning import kept_tuning
from riemaug.run.workdir import WorkDir, open_workdir
from riemaug.samplers import Diagnostics
from riemaug.serialization import FittedGenerators, load_generators, save_generators


class UnfittedAugmentorError(NotFittedError, SklearnNotFittedError):
    """`Augmentor` was used before `fit`; scikit-learn's error of that kind, too."""


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
    num_sides : 2 or 3, optional
        How many axes of a sample are sides: 2 of images, 3 of volumes; the one axis more that there may be,
        the last or the first, holds channels. By default it is guessed from the shape, and a volume of at
        most 4 slices is taken for an image with channels: see `fit`.
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
    random_state : int, numpy RandomState or Generator, optional
        The seed; or what `fit` draws one from, None: the system. It is kept as `random_state_`.
    device : str
    n_jobs : int, optional
        Classes trained at once; None takes as many as cores and memory allow.
    engine : str
        Where they are trained: "loky" (processes of this machine, or what `joblib.parallel_config` has
        chosen), "dask://HOST:PORT" or "ray://HOST:PORT". Machines of a cluster must share the folder of
        temporary files, or that of `fit_in`.

    Attributes
    ----------
    classes_ : ndarray
        The labels, sorted.
    generators_ : FittedGenerators
        Models, metrics, scaler, training histories.
    random_state_ : int
        The seed.
    n_features_in_ : int
        Number of columns, where the samples are a table (two axes).
    feature_names_in_ : ndarray of str
        Names of the columns, where the samples are a pandas DataFrame whose columns have text as names.
    sharing_ : Sharing
        Whether classes share one model, and why; only after `fit`.
    tuning_ : dict or None
        The account of a search: its outcome and a row for each trial; only after `fit`.
    notes_ : tuple of str
        What the command line would tell of the data and the settings, in sentences; only after `fit`.
    diagnostics_ : dict
        What is known of the draws of the last `sample`: a `riemaug.samplers.Diagnostics` for the label of
        each class of which some were asked for. Where `converged` is False, `sample` has warned.
    """

    n_features_in_: int
    feature_names_in_: np.ndarray
    _containers = Containers()

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
        num_sides: int | None = None,
        augment_training: bool = False,
        tune: int | None = None,
        tune_time: float | None = None,
        inverse_temperature: float = 1.0,
        random_state: RandomStateLike = None,
        device: str = "auto",
        n_jobs: int | None = None,
        engine: str = "loky",
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
        self.num_sides = num_sides
        self.augment_training = augment_training
        self.tune = tune
        self.tune_time = tune_time
        self.inverse_temperature = inverse_temperature
        self.random_state = random_state
        self.device = device
        self.n_jobs = n_jobs
        self.engine = engine

    def fit(self, X: ArrayLike, y: ArrayLike) -> "Augmentor":
        """Train one model a class, or one that all classes share.

        Parameters
        ----------
        X : array-like or DataFrame (n, ...)
            Samples of any shape and real dtype. Two axes: a table, scaled column by column; more:
            images or volumes, scaled as a whole. Of three or four axes a sample, the last one, or else
            the first, holds channels if it is at most 4 long, unless `num_sides` says that all are sides.
            Columns of a DataFrame may also hold categories, text and points in time, and be called by
            anything; see `riemaug.data.TablePlan`. Columns that identify the rows, or hold many categories,
            are modelled, with a `riemaug.estimator_warnings.ColumnWarning`.
        y : array-like or Series (n,)
            Labels; at least two samples each.

        Raises
        ------
        InvalidInputError, ResourceError, TrainingError
        """
        with tempfile.TemporaryDirectory(prefix="riemaug-") as folder:
            return self._fit_on_engine(X, y, lambda plan: WorkDir(Path(folder)))

    def fit_in(self, folder: str | Path, X: ArrayLike, y: ArrayLike) -> "Augmentor":
        """Do as `fit`, and keep in a folder what is done: a fit that was stopped goes on where it was.

        The folder is yours to remove once the augmentor is saved; a fit that has ended is taken from it.

        Parameters
        ----------
        folder : path
            New, empty, or of the same fit: same data, parameters and version of riemaug.
        X, y
            As of `fit`.

        Raises
        ------
        InvalidInputError
            As `fit`; or the folder is of another fit, one is at work there, or there is no `random_state`.
        ResourceError, TrainingError
        """
        if self.random_state is None:
            raise InvalidInputError(
                "a fit that can be resumed needs a random_state, else it would be another one each time: "
                "give a number"
            )
        place = Path(folder).absolute()
        place.mkdir(parents=True, exist_ok=True)
        with only_run(place, place):
            remove_leftovers(place)
            return self._fit_on_engine(X, y, lambda plan: open_workdir(place, identity_of(plan), resume=True))

    def _fit_on_engine(self, X: ArrayLike, y: ArrayLike, work_of: Callable[[Plan], WorkDir]) -> "Augmentor":
        with Engine.parse(self.engine).entered():
            return self._fit(X, y, work_of)

    def _fit(self, X: ArrayLike, y: ArrayLike, work_of: Callable[[Plan], WorkDir]) -> "Augmentor":
        seed = seed_of(self.random_state)
        generator = self._generator_config(seed)
        sampling = self._sampling_config(seed)
        sampling.check_against(generator.model)
        containers = Containers.of(X, y)
        dataset = containers.dataset(X, y, self.num_sides)
        networks = self._networks()
        no_samples = (0,) * len(dataset.class_names)
        plan = plan_for(dataset, generator, sampling, no_samples, num_jobs_of(self.n_jobs), networks)
        stages = Stages(plan, work_of(plan), networks=networks)
        self.sharing_, _ = stages.run()
        self.generators_ = gathered(plan, stages.fitted(self.sharing_))
        self.tuning_, self.notes_ = kept_tuning(stages.work), plan.notes
        vars(self).pop("diagnostics_", None)  # they are of draws of another fit
        self.classes_ = labels_of(self.generators_)
        self.random_state_ = seed
        self._containers = containers
        self._remember(features_of(X, dataset.samples.shape[1:]))
        return self

    def sample(
        self,
        num_samples: int | Mapping[Any, int],
        random_state: RandomStateLike = None,
        drop_copies: tuple[ArrayLike, ArrayLike] | None = None,
    ) -> tuple[Any, Any]:
        """Draw new samples.

        Parameters
        ----------
        num_samples : int or mapping
            So many for each class, or for each label named.
        random_state : int, numpy RandomState or Generator, optional
            By default the estimator's: the same call gives the same samples. Pass other numbers for
            further ones.
        drop_copies : (X, y), optional
            The training data. Samples that are exact or near copies of some of it are left out and
            others drawn in their place, as `riemaug augment --drop-copies` does; if ten times as many
            draws were not enough, fewer samples come back, with a warning.

        Returns
        -------
        (X, y) : ndarray (m, ...), ndarray (m,)
            Grouped by class, in the shape, dtype and range of the training data. A DataFrame with the
            same columns and dtypes, a Series with the same name and dtype, where `fit` was given those; of
            a loaded augmentor labels are an array.

        Raises
        ------
        NotFittedError, InvalidInputError, SamplingError

        Warns
        -----
        SamplerConvergenceWarning
            Draws of a class cannot be taken as draws of the sampler's law; the text says why. It is a
            scikit-learn `ConvergenceWarning`, and `diagnostics_` has the figures. Never silent for
            "walk-paper" and "walk-paper-code", which have another law.
        CopiesWarning
            See `drop_copies`. Both are in `riemaug.estimator_warnings`.
        """
        fitted = self._fitted()
        counts = counts_of(num_samples, self.classes_)
        config = self._sampling_config(self.random_state_ if random_state is None else seed_of(random_state))
        training = None if drop_copies is None else self._training_set(*drop_copies)
        drawn = drawn_classes(fitted, counts, config, training)
        self.diagnostics_: dict[Any, Diagnostics] = {
            label: item.diagnostics
            for label, item in zip(self.classes_.tolist(), drawn, strict=True)
            if item.diagnostics is not None
        }
        labels = np.repeat(self.classes_, [len(item.samples) for item in drawn])
        return self._containers.restore(np.concatenate([item.samples for item in drawn]), labels)

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
        augmentor = cls(**parameters_of(generators, networks))
        augmentor.generators_ = generators
        augmentor._containers = Containers.of_format(generators.sample_format)
        augmentor.random_state_ = generators.config.seed
        augmentor.classes_ = labels_of(generators)
        augmentor._remember(features_of_format(generators.sample_format))
        return augmentor

    @property
    def scaler_(self) -> RangeScaler:
        """The fitted scaling between the data's range and [0, 1]."""
        return self._fitted().scaler

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.input_tags.three_d_array = True
        return tags

    def _fitted(self) -> FittedGenerators:
        if not hasattr(self, "generators_"):
            raise UnfittedAugmentorError(
                "this Augmentor must be fitted before it can sample or be saved: call fit(X, y)"
            )
        return self.generators_

    def _training_set(self, X: ArrayLike, y: ArrayLike) -> TrainingSet:
        return TrainingSet.of(self._containers.numbers_of(X), y, self._fitted(), self.classes_)

    def _remember(self, features: dict[str, Any]) -> None:
        """Keep number and names of a table's columns as scikit-learn does, and none of a former fit."""
        for name in FEATURES:
            vars(self).pop(name, None)
        vars(self).update(features)

    def _networks(self) -> Networks:
        return Networks(self.encoder, self.decoder, self.metric_trunk)

    def _generator_config(self, seed: int) -> GeneratorConfig:
        values = {name: getattr(self, name) for name in GENERATOR_FIELDS}
        if any(module is not None for module in vars(self._networks()).values()):
            if self.network is not None:
                raise InvalidInputError(
                    f"networks of your own stand instead of network, got {self.network!r} too: leave one out"
                )
            values["network"] = "custom"
        return validated(GeneratorConfig, seed=seed, **values)

    def _sampling_config(self, seed: int) -> SamplingConfig:
        return validated(
            SamplingConfig, sampler=self.sampler, inverse_temperature=self.inverse_temperature, seed=seed
        )
