"""Pictures of different sizes and kinds brought into one array."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Shaped

from riemaug.data.checks import check_memory
from riemaug.data.images import MAX_PIXELS, DecodedImage
from riemaug.errors import InvalidInputError


def check_size_options(resize: tuple[int, int] | None, pad: bool, crop: bool) -> None:
    """Refuse contradicting or impossible wishes for the size.

    Raises
    ------
    InvalidInputError
        More than one of `resize`, `pad` and `crop`, or a size no picture can have.
    """
    if (resize is not None) + pad + crop > 1:
        raise InvalidInputError("--resize, --pad and --crop exclude each other: give one of them")
    if resize is None:
        return
    if len(resize) != 2 or min(resize) < 1 or resize[0] * resize[1] > MAX_PIXELS:
        given = "x".join(str(side) for side in resize)
        raise InvalidInputError(
            f"--resize takes HxW of at least 1x1 and at most {MAX_PIXELS} pixels, got {given}"
        )


def common_kind(images: Sequence[DecodedImage], names: Sequence[str]) -> tuple[bool, bool, list[str]]:
    """Decide how a set of pictures is modelled and written.

    Returns
    -------
    tuple of (bool, bool, list of str)
        Whether samples are (H, W, 3); whether (H, W) samples are written as RGB; notes.

    Raises
    ------
    InvalidInputError
        8-bit, 16-bit and float files in one set.
    """
    first_of: dict[str, str] = {}
    for image, name in zip(images, names, strict=True):
        first_of.setdefault(image.pixels.dtype.name, name)
    if len(first_of) > 1:
        found = ", ".join(f"{dtype} ({name!r})" for dtype, name in sorted(first_of.items()))
        raise InvalidInputError(f"all images must have one bit depth, found {found}: convert them to one")
    kinds = Counter(image.kind for image in images)
    if not kinds["RGB"]:
        return _all_grey(kinds)
    if kinds["grey"]:
        return True, False, [f"{kinds['grey']} grey files among RGB ones: read as RGB."]
    return True, False, []


def _all_grey(kinds: Counter[str]) -> tuple[bool, bool, list[str]]:
    coloured = kinds["grey saved as RGB"]
    if not coloured:
        return False, False, []
    if not kinds["grey"]:
        return False, True, ["All RGB files are grey in content: modelled as grey, written as RGB again."]
    return False, False, [f"{coloured} RGB files among grey ones, grey in content: read and written as grey."]


def stack_images(
    images: list[DecodedImage], as_rgb: bool, pad: bool = False, crop: bool = False
) -> tuple[Shaped[np.ndarray, "n H W ..."], list[str]]:
    """Bring the pictures to one size and into one array.

    Parameters
    ----------
    images : list of DecodedImage
        Pictures of one dtype. The list is emptied on the way, so that memory holds each picture once.
    as_rgb : bool
        Give every sample three channels.
    pad, crop : bool
        Centre in the largest height and width, or cut the centre of the smallest ones.

    Returns
    -------
    tuple of (ndarray (n, H, W[, 3]), list of str)
        The samples and the notes.

    Raises
    ------
    InvalidInputError
        Sizes differ and neither `pad` nor `crop` is asked for.
    ResourceError
        The array does not fit the memory that is free.
    """
    sizes = Counter((image.pixels.shape[0], image.pixels.shape[1]) for image in images)
    if len(sizes) > 1 and not (pad or crop):
        raise InvalidInputError(_unequal_sizes(sizes))
    choose = min if crop else max
    size = (choose(height for height, _ in sizes), choose(width for _, width in sizes))
    shape = (len(images), *size, 3) if as_rgb else (len(images), *size)
    dtype = images[0].pixels.dtype
    check_memory(math.prod(shape) * dtype.itemsize, "images", "give --resize HxW, or fewer images")
    fill = _most_common_corner(images, as_rgb) if len(sizes) > 1 and pad else None
    samples = np.empty(shape, dtype)
    for row, image in enumerate(_taken_from(images)):
        samples[row] = _fit_centre(_with_channels(image.pixels, as_rgb), size, fill)
    return samples, [_fitted_note(len(sizes), size, fill)] if len(sizes) > 1 else []


def _taken_from(images: list[DecodedImage]) -> Iterator[DecodedImage]:
    images.reverse()
    while images:
        yield images.pop()


def _unequal_sizes(sizes: Counter[tuple[int, int]]) -> str:
    common = sorted(sizes.items(), key=lambda item: (-item[1], item[0]))[:2]
    listed = " and ".join(f"{count} of {height}x{width}" for (height, width), count in common)
    return (
        f"all images must have one size, found {len(sizes)} sizes, the most common {listed}:"
        " give --resize HxW, --pad or --crop"
    )


def _fitted_note(number: int, size: tuple[int, int], fill: np.ndarray | None) -> str:
    done = "centre-cropped" if fill is None else f"padded with the value {np.ravel(fill).tolist()}"
    return f"Images of {number} sizes were {done} to {size[0]}x{size[1]}."


def _with_channels(pixels: np.ndarray, as_rgb: bool) -> np.ndarray:
    if as_rgb and pixels.ndim == 2:
        return np.repeat(pixels[..., None], 3, axis=2)
    return pixels


def _most_common_corner(images: Sequence[DecodedImage], as_rgb: bool) -> np.ndarray:
    # the background of a set is what its corners show; zero would frame bright backgrounds in black
    found: Counter[tuple[float, ...]] = Counter()
    for image in images:
        corners = _with_channels(image.pixels[:: max(image.pixels.shape[0] - 1, 1)], as_rgb)
        corners = corners[:, :: max(image.pixels.shape[1] - 1, 1)]
        found.update(tuple(np.ravel(value).tolist()) for row in corners for value in row)
    best = min(found, key=lambda value: (-found[value], value))
    return np.array(best if as_rgb else best[0], dtype=images[0].pixels.dtype)


def _fit_centre(pixels: np.ndarray, size: tuple[int, int], fill: np.ndarray | None) -> np.ndarray:
    if pixels.shape[:2] == size:
        return pixels
    fitted = np.empty((*size, *pixels.shape[2:]), pixels.dtype)
    if fill is not None:
        fitted[...] = fill
    source, target = [], []
    for have, want in zip(pixels.shape[:2], size, strict=True):
        kept = min(have, want)
        source.append(slice((have - kept) // 2, (have - kept) // 2 + kept))
        target.append(slice((want - kept) // 2, (want - kept) // 2 + kept))
    fitted[target[0], target[1]] = pixels[source[0], source[1]]
    return fitted
