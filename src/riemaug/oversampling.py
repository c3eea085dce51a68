"""`ManifoldOverSampler`: samples drawn by `riemaug.Augmentor`, as an over-sampler of imbalanced-learn."""

import math
import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool, Shaped
from scipy.sparse import issparse, vstack

from riemaug.augmentor import Augmentor
from riemaug.config import GeneratorConfig
from riemaug.data.checks import MIN_PER_CLASS, check_memory
from riemaug.data.table_dtypes import dtype_kind
from riemaug.errors import InvalidInputError
from riemaug.estimator_frames import FramePlan
from riemaug.estimator_input import check_sides, is_frame, whole_columns
from riemaug.estimator_parameters import RandomStateLike, seed_of, validated

try:
    from imblearn.over_sampling.base import BaseOverSampler
except ImportError as error:
    raise ImportError(
        "riemaug.oversampling needs the package imbalanced-learn, which cannot be imported"
        f" ({str(error).splitlines()[0]}): pip install 'riemaug[smote]'"
    ) from None

_OWN_PARAMETERS = frozenset({"sampling_strategy", "image_shape", "random_state"})


class ManifoldOverSampler(BaseOverSampler):
    """Over-samples classes with draws from their learned manifolds; in place of SMOTE in a pipeline.

    The classes that `sampling_strategy` asks for get new samples from `riemaug.Augmentor`; the given rows
    come first, unchanged. Only these classes are learned where each has a model of its own; all classes
    with two or more samples are where one model is shared (preset "conditional").

    Parameters
    ----------
    sampling_strategy : float, str, dict or callable
        How many samples classes have afterwards, as in imbalanced-learn: "auto" fills all up to the
        largest class; {label: number} names the numbers.
    image_shape : tuple of int, optional
        The shape of one sample, for rows that are flattened images or volumes: (28, 28) or (3, 32, 32).
        They are modelled as images and given back as rows. Without it, rows are a table, scaled column by
        column. Two to four whole numbers.
    num_sides : 2 or 3, optional
        As in `Augmentor`: 3 for volumes of few slices, which look like images with channels.
    random_state : int, numpy RandomState or None
        Seed of training and draws; a RandomState is drawn from at each call of `fit_resample`.
    preset, sharing, model, network, sampler, latent_dim, bandwidth, regularization, likelihood
        The models and how points are drawn, as in `Augmentor`.
    max_epochs, learning_rate, patience, training_batch_size, validation_fraction, augment_training, tune
        How models are trained, as in `Augmentor`.
    inverse_temperature, device, n_jobs, engine
        As in `Augmentor`.

    Attributes
    ----------
    sampling_strategy_ : dict
        Label and number of new samples of each class that gets some.
    augmentor_ : Augmentor or None
        What was learned; None where no class needed samples. Set by `fit_resample`.
    diagnostics_ : dict
        What is known of the new samples' draws: a `riemaug.samplers.Diagnostics` for the label of each class
        that got some. Where `converged` is False there is a `SamplerConvergenceWarning`, as of
        `Augmentor.sample`. Set by `fit_resample`.
    sample_shape_ : tuple of int
        The shape of one sample as it is modelled.
    n_features_in_ : int
        Values of one sample.
    feature_names_in_ : ndarray of str
        Names of the columns, for a DataFrame whose columns have text as names.

    Notes
    -----
    X may be an array of two axes; a DataFrame, also with categories, text and points in time, which becomes
    numbers and comes back, rounded, by a `riemaug.data.TablePlan` of all its rows (columns that identify
    rows or hold many categories are warned of, as of `Augmentor.fit`); a list of rows; a sparse matrix,
    which is filled in while it is modelled, so that it must fit the memory; or images and volumes as they
    are: n x H x W, n x C x H x W, n x H x W x C or n x D x H x W. Of three or four axes of a sample, the
    last one, or else the first, holds channels if it is at most 4 long, unless `num_sides` says otherwise;
    the same holds for `image_shape`. What comes back has the container, dtype and shape of what was given;
    integers are rounded.

    Over-sample within cross-validation, by a pipeline of `imblearn.pipeline`, never before it: otherwise
    test samples have helped to make training samples.

    References
    ----------
    C. Chadebec, S. Allassonniere 2021, "Data augmentation with variational autoencoders and manifold
    sampling".
    """

    _whole_columns: np.ndarray | None = None
    _plan: FramePlan | None = None

    def __init__(
        self,
        *,
        sampling_strategy: float | str | Mapping[Any, int] | Callable[..., Any] = "auto",
        image_shape: tuple[int, ...] | None = None,
        num_sides: int | None = None,
        random_state: RandomStateLike = None,
        preset: str = "auto",
        sharing: str = "measured",
        model: str = "rhvae",
        network: str | None = None,
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
        augment_training: bool = False,
        tune: int | None = None,
        inverse_temperature: float = 1.0,
        device: str = "auto",
        n_jobs: int | None = None,
        engine: str = "loky",
    ) -> None:
        super().__init__(sampling_strategy=sampling_strategy)  # pyright: ignore[reportArgumentType]
        self.image_shape = image_shape
        self.num_sides = num_sides
        self.random_state = random_state
        self.preset = preset
        self.sharing = sharing
        self.model = model
        self.network = network
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
        self.augment_training = augment_training
        self.tune = tune
        self.inverse_temperature = inverse_temperature
        self.device = device
        self.n_jobs = n_jobs
        self.engine = engine

    def _check_X_y(self, X: Any, y: Any, accept_sparse: Any = None) -> tuple[Any, Any, bool]:
        """Return X and y as arrays, X flat or with its axes, and whether y was one column a class.

        A DataFrame that a plan can be made of stays one.
        """
        self._plan = self._whole_columns = None
        _check_sides(self.image_shape)
        if self.image_shape is None and _is_table_of_a_plan(X):
            return self._check_table(X, y)
        self._whole_columns = whole_columns(X) if is_frame(X) else None
        axes = _axes_of_samples(X)
        flat = X if axes is None else np.asarray(X).reshape(len(X), math.prod(axes))
        samples: Any
        try:
            samples, labels, is_one_hot = super()._check_X_y(flat, y, accept_sparse)
        except ValueError as error:
            raise InvalidInputError(_in_one_line(error)) from error
        self.sample_shape_ = _modelled_shape(self.image_shape, axes, samples.shape[1])
        return samples if axes is None else samples.reshape(-1, *axes), labels, is_one_hot

    def _check_table(self, X: Any, y: Any) -> tuple[Any, Any, bool]:
        """Return a DataFrame as it is, y as an array, and whether it was one column a class."""
        self._plan = FramePlan.fit(X)
        self.sample_shape_ = (self._plan.plan.num_numbers,)
        # what the base class learns of X is the number of its columns, and their names if these are text
        names = X.columns if all(isinstance(name, str) for name in X.columns) else None
        stand_in = sys.modules["pandas"].DataFrame(np.zeros(X.shape), columns=names)
        try:
            _, labels, is_one_hot = super()._check_X_y(stand_in, y)
        except ValueError as error:
            raise InvalidInputError(_in_one_line(error)) from error
        return X, labels, is_one_hot

    def _fit_resample(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, X: Any, y: Shaped[np.ndarray, " n"], **params: Any
    ) -> tuple[Any, Any]:
        """Return X and y with new samples of the classes of `sampling_strategy_` after them."""
        wanted = {label: int(num) for label, num in dict(self.sampling_strategy_ or {}).items() if num}
        self.augmentor_, self.diagnostics_ = None, {}
        if not wanted:
            return X.copy(), y.copy()
        plan = self._plan
        samples = _dense(X) if plan is None else plan.to_numbers(X)
        samples = samples.reshape(len(y), *self.sample_shape_)
        _check_classes(samples, y, list(wanted))
        augmentor, rows = self._augmentor_for(y, list(wanted))
        made, labels = augmentor.fit(samples[rows], y[rows]).sample(wanted)
        self.augmentor_, self.diagnostics_ = augmentor, augmentor.diagnostics_
        new_y = np.concatenate([y, labels.astype(y.dtype)])
        if plan is not None:
            return sys.modules["pandas"].concat([X, plan.to_table(made)], ignore_index=True), new_y
        made = made.reshape(len(made), *X.shape[1:])
        if self._whole_columns is not None:
            made = np.where(self._whole_columns, np.rint(made), made).astype(made.dtype, copy=False)
        joined = _with_sparse(X, made) if issparse(X) else np.concatenate([X, made])
        return joined, new_y

    def _augmentor_for(
        self, y: Shaped[np.ndarray, " n"], wanted: list[Any]
    ) -> tuple[Augmentor, Bool[np.ndarray, " n"]]:
        """Return the augmentor, and the rows of the classes that it has to learn."""
        settings = {name: value for name, value in self.get_params().items() if name not in _OWN_PARAMETERS}
        seed = seed_of(self.random_state)
        chosen = {name: settings[name] for name in GeneratorConfig.model_fields if name in settings}
        labels, sizes = np.unique(y, return_counts=True)
        config = validated(GeneratorConfig, seed=seed, **chosen)
        check_sides(self.num_sides, self.sample_shape_)
        config = config.resolved(self.sample_shape_, len(labels), self.num_sides or 0)
        # decided by all classes, of which perhaps one alone is learned
        augmentor = Augmentor(**settings | {"preset": config.preset}, random_state=seed)
        learned = np.array([label in wanted for label in labels])
        if config.shares(len(labels)):
            learned |= sizes >= MIN_PER_CLASS
        return augmentor, np.isin(y, labels[learned])


def _is_table_of_a_plan(X: Any) -> bool:
    """Tell whether X is a DataFrame whose dtypes a plan knows; it knows no sparse columns."""
    return is_frame(X) and len(X) > 0 and all(dtype_kind(str(dtype)) for dtype in X.dtypes)


def _axes_of_samples(X: Any) -> tuple[int, ...] | None:
    """Return the shape of one sample of images or volumes; None of rows, and of what is no array."""
    if is_frame(X) or issparse(X):
        return None
    try:
        shape = np.shape(X)
    except ValueError:  # rows of different lengths: scikit-learn tells of these
        return None
    return tuple(shape[1:]) if len(shape) > 2 and math.prod(shape) else None


def _modelled_shape(
    image_shape: tuple[int, ...] | None, axes: tuple[int, ...] | None, num_values: int
) -> tuple[int, ...]:
    """Return the shape of one sample as it is modelled."""
    if axes is not None:
        if image_shape is not None and tuple(image_shape) != axes:
            raise InvalidInputError(
                f"image_shape is for flat samples, those of X have the shape {axes} and image_shape is"
                f" {image_shape}: leave it out"
            )
        return axes
    if image_shape is None:
        return (num_values,)
    if math.prod(image_shape) != num_values:
        raise InvalidInputError(
            f"image_shape must make {num_values} values, as many as a row of X has, {image_shape} makes"
            f" {math.prod(image_shape)}: correct it"
        )
    return tuple(image_shape)


def _check_sides(image_shape: Any) -> None:
    """Refuse an image_shape that is none."""
    if image_shape is None:
        return
    is_shape = isinstance(image_shape, tuple | list) and 2 <= len(image_shape) <= 4
    if not is_shape or not all(isinstance(side, int | np.integer) and side > 0 for side in image_shape):
        raise InvalidInputError(
            f"image_shape must be two to four whole numbers of 1 or more, got {image_shape!r}: give the sides"
            " of one sample, such as (28, 28)"
        )


def _check_classes(
    samples: Shaped[np.ndarray, "n ..."], y: Shaped[np.ndarray, " n"], wanted: list[Any]
) -> None:
    """Refuse to over-sample a class with fewer than two rows, or of rows that are all the same."""
    for label in wanted:
        own = samples[y == label]
        if len(own) < MIN_PER_CLASS:
            raise InvalidInputError(
                f"a class that is over-sampled needs at least {MIN_PER_CLASS} rows, class {label} has"
                f" {len(own)}: add rows or leave it out of sampling_strategy"
            )
        if (own == own[:1]).all():
            raise InvalidInputError(
                f"the rows of a class that is over-sampled must differ, all {len(own)} of class {label} are"
                " identical: add others or leave it out of sampling_strategy"
            )


def _in_one_line(error: ValueError) -> str:
    """Return what scikit-learn found wrong with X or y, without its advice on other estimators."""
    first = str(error).splitlines()[0].rstrip(".")
    if "contains" in first:
        return f"X and y must be complete and finite, it was found: {first}: fill gaps in or drop the rows"
    return first


def _dense(X: Any) -> Shaped[np.ndarray, "n ..."]:
    """Return an array as it is and a sparse matrix filled in; ResourceError if it does not fit."""
    if not issparse(X):
        return X
    check_memory(math.prod(X.shape) * X.dtype.itemsize, "rows of the sparse X", "leave features out")
    return X.toarray()


def _with_sparse(X: Any, made: Shaped[np.ndarray, "m D"]) -> Any:
    """Return a sparse matrix followed by new rows, in its own format."""
    return vstack([X, type(X)(made)], format=X.format)
