"""Which training images a draw takes, by rule or as committed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64, UInt8

from riemaug.data.likeness import Signatures, near_pairs, signature, standardised
from riemaug.errors import InvalidInputError
from riemaug.random import Stream
from riemaug.study.committed import committed
from riemaug.study.sources import ImageSource

STEP = 5
"""Class sizes of a draw are multiples of this, so that 80 % and 20 % of each are whole numbers."""
_VALIDATION_OF = 5


@dataclass(frozen=True, eq=False)
class Draw:
    """Positions of a draw's images in the training part of its source, each in rising order."""

    train: Int64[np.ndarray, " n"]
    validation: Int64[np.ndarray, " m"]


def geometric_counts(ratio: float, num_classes: int, total: int, stream: Stream) -> tuple[int, ...]:
    """Return class sizes that fall geometrically over a random order of the classes.

    Parameters
    ----------
    ratio : float
        Each class has about this part of the size of the class before it.
    num_classes : int
    total : int
        Sum of the sizes, a multiple of `STEP`, as each size is.
    stream : Stream
        Draws the order.
    """
    weights = ratio ** np.arange(num_classes)
    wanted = total // STEP * weights / weights.sum()
    steps = np.maximum(np.floor(wanted), 1).astype(np.int64)
    left = total // STEP - int(steps.sum())
    largest_first = np.argsort(-(wanted - steps), kind="stable")
    steps[largest_first[: max(left, 0)]] += 1
    # where one step is more than a small class was to have, the largest class gives it
    steps[0] += min(left, 0)
    order = np.random.default_rng(stream.generator_seed()).permutation(num_classes)
    counts = np.empty(num_classes, dtype=np.int64)
    counts[order] = STEP * steps
    return tuple(counts.tolist())


def draw_images(source: ImageSource, counts: Sequence[int], stream: Stream) -> Draw:
    """Draw so many training images of each class, 80 % for training and 20 % for validation.

    An image is passed over, and the next of its class taken, if it is the same or nearly the same
    (`riemaug.data.likeness.NEAR_CORRELATION`) as a test image or as an image of lower position that was
    drawn, so that no part of the draw leaks into another.

    Parameters
    ----------
    source : ImageSource
    counts : sequence of int
        Size of each class, multiples of `STEP`.
    stream : Stream

    Raises
    ------
    InvalidInputError
        A class has too few images.
    """
    generator = np.random.default_rng(stream.generator_seed())
    orders = [
        generator.permutation(np.flatnonzero(source.train_labels == label)) for label in range(len(counts))
    ]
    (test,) = standardised([_signatures(source.test_images)])
    while True:
        for order, count, name in zip(orders, counts, source.class_names, strict=True):
            if len(order) < count:
                raise InvalidInputError(
                    f"a draw takes {count} different training images of class {name!r}, the files have"
                    f" {len(order)}: get the whole data set"
                )
        taken = np.sort(np.concatenate([order[:count] for order, count in zip(orders, counts, strict=True)]))
        passed_over = taken[_alike(source.train_images[taken], test)]
        if not len(passed_over):
            break
        orders = [order[~np.isin(order, passed_over)] for order in orders]
    num_validation = [count // _VALIDATION_OF for count in counts]
    validation = [order[:num] for order, num in zip(orders, num_validation, strict=True)]
    train = [order[num:count] for order, num, count in zip(orders, num_validation, counts, strict=True)]
    return Draw(np.sort(np.concatenate(train)), np.sort(np.concatenate(validation)))


def committed_draw(name: str, draw: int, source: ImageSource) -> Draw:
    """Return a committed draw.

    Raises
    ------
    InvalidInputError
        The files lack some of its images.
    """
    entry = committed(name)["draws"][str(draw)]
    place = {key: position for position, key in reversed(list(enumerate(source.keys.tolist())))}
    missing = [key for part in entry.values() for key in part if key not in place]
    if missing:
        raise InvalidInputError(
            f"draw {draw} of {name} takes {sum(map(len, entry.values()))} training images, {len(missing)} of"
            " them are not in the files: get the whole data set (EMNIST: the splits letters and byclass)"
        )
    parts = (np.sort([place[key] for key in entry[part]]) for part in ("train", "validation"))
    return Draw(*(part.astype(np.int64) for part in parts))


def _signatures(images: UInt8[np.ndarray, "n height width"]) -> Signatures:
    return Signatures(tuple(map(str, range(len(images)))), tuple(map(signature, images)))


def _alike(images: UInt8[np.ndarray, "n height width"], test: np.ndarray) -> Int64[np.ndarray, " k"]:
    """Return the rows of the images that are alike to a test image or to an image of a lower row."""
    (own,) = standardised([_signatures(images)])
    like_test = [rows for rows, _, _ in near_pairs(own, test)]
    like_other = [later for _, later, _ in near_pairs(own, own, same=True)]
    return np.unique(np.concatenate([np.zeros(0, np.int64), *like_test, *like_other]))
