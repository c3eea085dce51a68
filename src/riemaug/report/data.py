"""What a report is made of: plain records of numpy arrays and Python values, no torch.

A run fills these records, `riemaug.report.write_report` turns them into one HTML file. Whatever is unknown
is left at `None`, NaN or an empty array; the report then shows a dash or leaves the part out.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, UInt8

from riemaug.errors import InvalidInputError
from riemaug.evaluation.copying import DroppedCopies
from riemaug.evaluation.outcome import Evaluation
from riemaug.report.columns import Columns

Pictures = UInt8[np.ndarray, "count height width *channels"]
Value = float | int | str | bool | None


def _no_distances() -> np.ndarray:
    return np.empty(0, dtype=np.float64)


@dataclass(frozen=True, kw_only=True, eq=False)
class LatentMap:
    """The latent space of one class, or a plane in it where it has more than two dimensions.

    Parameters
    ----------
    x, y : ndarray (nx,), (ny,)
        Evenly spaced coordinates of the grid, increasing.
    log_volume : ndarray (ny, nx)
        log sqrt det G on the grid; dark regions of the map are where it is low.
    inside_support : ndarray (ny, nx) of bool
        Whether a grid point lies in the support S that the samplers stay in.
    centroids : ndarray (N, 2)
        Encodings of the training data.
    draws : ndarray (m, 2)
        Latent points that were decoded to synthetic samples (some of them is enough).
    geodesics : tuple of ndarray (T, 2)
        Some geodesic paths, each one starting at the row of `starts` of the same number.
    starts, velocities : ndarray (g, 2)
        Start point and initial velocity of each geodesic.
    decoded : ndarray (side^2, H, W) or (side^2, H, W, 3), uint8, or None
        What the decoder makes of the nodes of an evenly spaced grid between the ends of `x` and `y`, row by
        row from the lowest y; None for data that are not images.
    latent_dim : int
        Above 2 the map is the principal plane of the centroids; points and geodesics are projected to it.
    plane_share : float
        Share of the centroids' variance that lies in the plane.
    """

    x: Float[np.ndarray, "nx"]
    y: Float[np.ndarray, "ny"]
    log_volume: Float[np.ndarray, "ny nx"]
    inside_support: Bool[np.ndarray, "ny nx"]
    centroids: Float[np.ndarray, "N 2"]
    draws: Float[np.ndarray, "m 2"]
    geodesics: tuple[Float[np.ndarray, "_ 2"], ...] = ()
    starts: Float[np.ndarray, "g 2"] = field(default_factory=lambda: np.empty((0, 2)))
    velocities: Float[np.ndarray, "g 2"] = field(default_factory=lambda: np.empty((0, 2)))
    decoded: UInt8[np.ndarray, "nodes height width *channels"] | None = None
    latent_dim: int = 2
    plane_share: float = 1.0

    def __post_init__(self) -> None:
        if self.decoded is not None and math.isqrt(len(self.decoded)) ** 2 != len(self.decoded):
            raise InvalidInputError(
                f"decoded pictures must fill a square grid, got {len(self.decoded)}: pass a square number"
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class Volumes:
    """Some volumes of a class, to look through slice by slice.

    Parameters
    ----------
    synthetic, nearest : ndarray (k, D, H, W), uint8
        Some synthetic volumes and the training volume nearest to each; the latter may be None. Of NIfTI
        volumes the axes go from head to feet, from front to back, and from left to right.
    axes : tuple of 3 str
        What the three axes are called.
    spacing : tuple of 3 float
        Length of a voxel along each axis, in any unit.
    """

    synthetic: UInt8[np.ndarray, "k depth height width"]
    nearest: UInt8[np.ndarray, "k depth height width"] | None = None
    axes: tuple[str, str, str] = ("axis 1", "axis 2", "axis 3")
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)


@dataclass(frozen=True, kw_only=True, eq=False)
class ClassReport:
    """What is known about one class after fit and sample.

    Parameters
    ----------
    name : str
        The class as the user calls it; any text.
    num_real, num_synthetic : int
        How many samples the class had, and how many were made.
    real, synthetic, nearest : ndarray (k, H, W) or (k, H, W, 3), uint8, or None
        Pictures to show: some training images, some synthetic ones, and for each of these its nearest
        training image in the same order. None for data that are not images.
    synthetic_names, nearest_names : tuple of str
        File names of the shown synthetic samples and of their nearest training samples.
    nearest_distances : ndarray (num_synthetic,)
        Distance of every synthetic sample to its nearest training sample; the first ones belong to the
        shown pictures, in their order.
    real_nearest_distances : ndarray (num_real,)
        Distance of every training sample to its nearest other one of the class (leave-one-out).
    copies_exact, copies_near : int
        Synthetic samples that equal a training sample, and that lie closer to one than is usual.
    dropped : DroppedCopies or None
        What was dropped as a copy before; None where nothing was to be.
    curves : mapping of str to ndarray (epochs,)
        Values per epoch: "elbo", "reconstruction", "kl", ... A name that starts with "validation_" is
        drawn in the panel of the name that follows.
    best_epoch : int or None
        Epoch whose weights were kept, counted from 1.
    stop_reason : str
        Why training ended, in words.
    latent : LatentMap or None
        Only of a model with a metric and two latent dimensions or more.
    volumes : Volumes or None
        Only of volumes.
    columns : Columns or None
        Only of tables.
    diagnostics : mapping
        Sampler diagnostics by name, see `riemaug.report.words`.
    seconds : mapping of str to float
        Time spent on "fit", "sample", "write".

    Raises
    ------
    InvalidInputError
        Pictures that do not pair up.
    """

    name: str
    num_real: int
    num_synthetic: int
    real: Pictures | None = None
    synthetic: UInt8[np.ndarray, "shown height width *channels"] | None = None
    nearest: UInt8[np.ndarray, "shown height width *channels"] | None = None
    synthetic_names: tuple[str, ...] = ()
    nearest_names: tuple[str, ...] = ()
    nearest_distances: Float[np.ndarray, "_"] = field(default_factory=_no_distances)
    real_nearest_distances: Float[np.ndarray, "_"] = field(default_factory=_no_distances)
    copies_exact: int = 0
    copies_near: int = 0
    dropped: DroppedCopies | None = None
    curves: Mapping[str, Float[np.ndarray, "_"]] = field(default_factory=dict)
    best_epoch: int | None = None
    stop_reason: str = ""
    latent: LatentMap | None = None
    volumes: Volumes | None = None
    columns: Columns | None = None
    diagnostics: Mapping[str, Value] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.nearest is None:
            return
        shown = 0 if self.synthetic is None else len(self.synthetic)
        if len(self.nearest) != shown:
            raise InvalidInputError(
                f"each shown synthetic picture needs its nearest training picture: got {shown} and "
                f"{len(self.nearest)} for class {self.name!r}; pass arrays of equal length"
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class ReportData:
    """Everything that one report shows.

    Parameters
    ----------
    title : str
        Heading of the report.
    created : str
        Date and time, as it shall be shown.
    version, command, seed
        What repeats the run: version of riemaug, command line, seed.
    config : mapping
        All options that the run used, by name; mappings inside are shown as `outer.inner`.
    classes : tuple of ClassReport
        In the order to show.
    notes : tuple of str
        What reading and scaling had to say about the data.
    fingerprint : mapping
        The data in short: n, classes, shape, dtype, range, sha256.
    sampler, model, model_hash : str
        Names of sampler and model, and the hash of the model file.
    total_seconds : float
        Wall time of the run.
    peak_memory_mb : float or None
        Largest memory use, if measured.
    environment : mapping
        python, torch, cpu, threads, device.
    show_real : bool
        False keeps every real picture out of the file.
    evaluation : Evaluation or None
        What `riemaug evaluate` found of these samples; None where that was not measured.
    """

    title: str
    created: str
    version: str
    command: str
    config: Mapping[str, object]
    seed: int
    classes: tuple[ClassReport, ...]
    notes: tuple[str, ...] = ()
    fingerprint: Mapping[str, object] = field(default_factory=dict)
    sampler: str
    model: str
    model_hash: str = ""
    total_seconds: float
    peak_memory_mb: float | None = None
    environment: Mapping[str, object] = field(default_factory=dict)
    show_real: bool = True
    evaluation: Evaluation | None = None
