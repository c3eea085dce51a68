"""Small sets of the paper's figures: binary discs and rings, three classes of MNIST and of Fashion-MNIST."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from riemaug.errors import InvalidInputError
from riemaug.evaluation.samples import LabelledSamples
from riemaug.random import Stream
from riemaug.study.datasets import scaled
from riemaug.study.sources import ImageSource, read_fashion, read_mnist, read_npz

NUM_SHAPES = 180
SIDE = 50
SHAPE_CLASSES = ("disc", "ring")
RADII = (4.0, 18.0)
"""Smallest and largest outer radius in pixels; centres are in the middle of the image."""
LEAST_THICKNESS = 1.5
"""Of a ring, in pixels; thinner rings would have gaps. The largest is half of the outer radius."""
NUM_REDUCED = 120
_REDUCED_FILE = "paper_reduced.npz"


@dataclass(frozen=True)
class _Reduced:
    """A reduced set: arrays in the authors' file, the classes, and where it is drawn from without it."""

    prefix: str
    classes: tuple[int, ...]
    class_names: tuple[str, ...]
    read: Callable[[Path], ImageSource]


_REDUCED = {
    "mnist_reduced": _Reduced("mnist", (0, 1, 2), ("0", "1", "2"), read_mnist),
    "fashion_reduced": _Reduced("fashion", (1, 5, 8), ("Trouser", "Sandal", "Bag"), read_fashion),
}
SMALL_SETS = ("shapes", *_REDUCED)
"""Names that `load_small_set` knows."""


@dataclass(frozen=True, eq=False)
class SmallSet:
    """A small set to look at; it has no test part.

    Attributes
    ----------
    name : str
    class_names : tuple of str
    samples : LabelledSamples
        Values in [0, 1].
    origin : str
        "generated", "drawn" (from the training part of the whole set), or "authors" (their own images:
        for MNIST and Fashion-MNIST from the test part, so never to be tested on).
    """

    name: str
    class_names: tuple[str, ...]
    samples: LabelledSamples
    origin: str


def load_small_set(name: str, folder: Path | None = None, seed: int = 0) -> SmallSet:
    """Return one of the small sets.

    Parameters
    ----------
    name : str
        One of `SMALL_SETS`. "shapes" is generated; of the others the authors' own 120 images are read where
        the folder has them, else 40 training images of each class are drawn.
    folder : Path, optional
        Where the public data sets are; not needed for "shapes".
    seed : int
        Of shapes and drawn images.

    Raises
    ------
    InvalidInputError
        The name is unknown, or the files are absent or broken.
    """
    if name == "shapes":
        return SmallSet(name, SHAPE_CLASSES, generate_shapes(Stream(seed, ("study", name))), "generated")
    if name not in _REDUCED:
        raise InvalidInputError(f"a small set is one of {', '.join(SMALL_SETS)}, got {name!r}")
    if folder is None:
        raise InvalidInputError(f"{name} is read from files: name the folder of the public data sets")
    reduced = _REDUCED[name]
    path = Path(folder) / _REDUCED_FILE
    if path.is_file():
        return SmallSet(name, reduced.class_names, _authors(path, reduced), "authors")
    drawn = _drawn(reduced.read(Path(folder)), reduced.classes, Stream(seed, ("study", name)))
    return SmallSet(name, reduced.class_names, drawn, "drawn")


def generate_shapes(stream: Stream, count: int = NUM_SHAPES) -> LabelledSamples:
    """Return binary images of discs (class 0) and rings (class 1), as many of each, (count, 50, 50).

    Outer radii are uniform in `RADII`, thicknesses of rings from `LEAST_THICKNESS` to half the radius. A
    pixel is 1 where its centre lies in the shape. The paper says only that diameter and thickness vary.
    """
    generator = np.random.default_rng(stream.generator_seed())
    radii = generator.uniform(*RADII, size=count)
    holes = radii - generator.uniform(LEAST_THICKNESS, radii / 2)
    labels = np.arange(count, dtype=np.int64) % 2
    images = [
        shape_image(radius, hole * ring) for radius, hole, ring in zip(radii, holes, labels, strict=True)
    ]
    return scaled(np.stack(images), labels)


def shape_image(radius: float, hole: float) -> UInt8[np.ndarray, "50 50"]:
    """Return a disc of some radius with a hole of some radius (0 for none) in its middle, 0 or 255."""
    distance = _distances()
    inside = (distance <= radius) & (distance >= hole)
    return np.where(inside, 255, 0).astype(np.uint8)


def _distances() -> Float[np.ndarray, "50 50"]:
    """Return the distance of each pixel's centre from the middle of the image."""
    axis = np.arange(SIDE) - (SIDE - 1) / 2
    return np.hypot(axis[:, None], axis[None])


def _authors(path: Path, reduced: _Reduced) -> LabelledSamples:
    images, labels = read_npz(path, (f"{reduced.prefix}_images", f"{reduced.prefix}_labels")).values()
    return scaled(images, np.searchsorted(reduced.classes, labels).astype(np.int64))


def _drawn(source: ImageSource, classes: tuple[int, ...], stream: Stream) -> LabelledSamples:
    generator = np.random.default_rng(stream.generator_seed())
    each = NUM_REDUCED // len(classes)
    rows = [generator.permutation(np.flatnonzero(source.train_labels == label))[:each] for label in classes]
    if min(map(len, rows)) < each:
        raise InvalidInputError(
            f"a reduced set takes {each} training images of each class, the files have {min(map(len, rows))}:"
            " get the whole data set"
        )
    labels = np.repeat(np.arange(len(classes), dtype=np.int64), each)
    return scaled(source.train_images[np.concatenate(rows)], labels)
