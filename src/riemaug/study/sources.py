"""MNIST, Fashion-MNIST and EMNIST read from the files their providers publish, or from compact npz files."""

import gzip
import hashlib
import math
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64, Shaped, UInt8

from riemaug.errors import InvalidInputError

EMNIST_LETTERS = ("A", "B", "D", "E", "F", "G", "H", "N", "Q", "R")
"""The letters of the study: those whose upper and lower case differ in shape."""
DIGITS = tuple("0123456789")
FASHION_CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
_MOST_IDX_BYTES = 2**30
_IDX_TYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
_IMAGE_SUFFIXES = (".png", ".bmp", ".gif", ".tif", ".tiff")
_DIGEST_BYTES = 8


@dataclass(frozen=True, eq=False)
class ImageSource:
    """A public data set with its training and test part.

    Attributes
    ----------
    train_images, test_images : ndarray (n, height, width), (m, height, width) of uint8
        0 is background.
    train_labels, test_labels : ndarray (n,), (m,) of int64
        Numbers of the classes, from 0.
    train_rows : ndarray (n,) of int64
        Row of each training image in the provider's own order (EMNIST: in the file or files read).
    keys : ndarray (n,)
        What a committed draw names a training image by: its row, or its digest where different forms of
        the set have different rows (EMNIST).
    class_names : tuple of str
    """

    train_images: UInt8[np.ndarray, "n height width"]
    train_labels: Int64[np.ndarray, " n"]
    train_rows: Int64[np.ndarray, " n"]
    keys: Shaped[np.ndarray, " n"]
    test_images: UInt8[np.ndarray, "m height width"]
    test_labels: Int64[np.ndarray, " m"]
    class_names: tuple[str, ...]


@dataclass(frozen=True)
class Form:
    """One form a data set may have on the disk.

    Attributes
    ----------
    files : tuple of str
        Names, all of which must be there; "name[.gz]" stands for either, a name that ends in "/" for a
        folder.
    folders : tuple of str
        Where below the data folder they are looked for; the first that has all of them is read.
    read : callable
        Makes the source from the paths, in the order of `files`.
    """

    files: tuple[str, ...]
    folders: tuple[str, ...]
    read: Callable[[Sequence[Path]], Any]

    def found(self, folder: Path) -> list[Path] | None:
        """Return the paths of all files, or None where one of them is absent."""
        for sub in self.folders:
            paths = [_existing(folder / sub, name) for name in self.files]
            if all(path is not None for path in paths):
                return [path for path in paths if path is not None]
        return None

    def __str__(self) -> str:
        places = " or ".join("the folder itself" if sub == "." else f"{sub}/" for sub in self.folders)
        return f"{' and '.join(self.files)} in {places}"


def _existing(folder: Path, name: str) -> Path | None:
    if name.endswith("/"):
        return folder / name if (folder / name).is_dir() else None
    plain = name.removesuffix("[.gz]")
    options = (plain, f"{plain}.gz") if plain != name else (plain,)
    return next((folder / option for option in options if (folder / option).is_file()), None)


def read_first(name: str, forms: Sequence[Form], folder: Path) -> Any:
    """Return a data set in the first of its forms that is in the folder.

    Raises
    ------
    InvalidInputError
        The folder has none of the forms, or a file breaks its format.
    """
    for form in forms:
        paths = form.found(folder)
        if paths is not None:
            return form.read(paths)
    raise InvalidInputError(
        f"{name} needs one of: {'; '.join(map(str, forms))}; {folder} has none of them: get the data with"
        f" riemaug study download {name}, or name their folder with --data-dir or RIEMAUG_DATA"
    )


def read_mnist(folder: Path) -> ImageSource:
    """Return all of MNIST in its original order. See `read_first` for errors."""
    return read_first("mnist", _MNIST_FORMS, folder)


def read_fashion(folder: Path) -> ImageSource:
    """Return Fashion-MNIST: the training images at hand, and the whole test part.

    The npz form has the first 500 training images of each class, so the study draws from those in the
    other forms, too. See `read_first` for errors.
    """
    return read_first("fashion", _FASHION_FORMS, folder)


def read_emnist(folder: Path) -> ImageSource:
    """Return the images of the study's letters from EMNIST, upper and lower case in one class.

    Test part: all official test images of these letters in the split "letters". Training part: images
    of "letters" (train) and, where at hand, of "byclass" (test). The two splits overlap: exact copies of a
    test image may be in the training part, which the draws pass over. See `read_first` for errors.
    """
    return read_first("emnist", _EMNIST_FORMS, folder)


def read_idx(path: Path) -> np.ndarray:
    """Return the array of an idx file, plain or gzipped.

    Source: the description on MNIST's page. Two zero bytes, a type, the number of axes, their lengths as
    big-endian 32-bit numbers, then the values.

    Raises
    ------
    InvalidInputError
        The file is none, or is cut short.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            raw = file.read(_MOST_IDX_BYTES + 1)
    except (EOFError, OSError, zlib.error) as error:
        raise InvalidInputError(f"{path} cannot be read ({error}): download it again") from None
    if not 4 <= len(raw) <= _MOST_IDX_BYTES or raw[:2] != b"\0\0" or raw[2] not in _IDX_TYPES or raw[3] > 4:
        raise InvalidInputError(
            f"{path} is no idx file: its first bytes are {raw[:4].hex()}: download it again"
        )
    start = 4 + 4 * raw[3]
    shape = struct.unpack(f">{raw[3]}i", raw[4:start]) if len(raw) >= start else (-1,)
    dtype = np.dtype(_IDX_TYPES[raw[2]])
    if min(shape, default=-1) < 0 or len(raw) - start != dtype.itemsize * math.prod(shape):
        raise InvalidInputError(
            f"{path} must hold {shape} values of {dtype.itemsize} bytes, {len(raw) - start} bytes follow its"
            " head: download it again"
        )
    return np.frombuffer(raw, dtype, offset=start).reshape(shape)


def grey_images(paths: Sequence[Path]) -> UInt8[np.ndarray, "n height width"]:
    """Return image files of one size in 8-bit grey.

    Raises
    ------
    InvalidInputError
        A file is no image, or the sizes differ.
    """
    from PIL import Image

    images = []
    for path in paths:
        try:
            with Image.open(path) as image:
                images.append(np.asarray(image.convert("L")))
        except OSError as error:
            raise InvalidInputError(f"{path} cannot be read ({error}): get it again") from None
        if images[-1].shape != images[0].shape:
            raise InvalidInputError(
                f"images must have one size, {path} has {images[-1].shape}, {paths[0]} {images[0].shape}: get"
                " the original files"
            )
    return np.stack(images)


def digests(images: UInt8[np.ndarray, "n height width"]) -> Shaped[np.ndarray, " n"]:
    """Return a 16-digit hexadecimal name of each image, made of its pixels only."""
    return np.array(
        [hashlib.blake2b(image.tobytes(), digest_size=_DIGEST_BYTES).hexdigest() for image in images],
        dtype=f"<U{2 * _DIGEST_BYTES}",
    )


def read_npz(path: Path, names: Sequence[str]) -> Mapping[str, np.ndarray]:
    """Return some arrays of an npz file.

    Raises
    ------
    InvalidInputError
        It lacks one of them, or is no npz file.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in names}
    except (KeyError, ValueError, OSError, EOFError) as error:
        raise InvalidInputError(
            f"{path} must be an npz file with {', '.join(names)}, it cannot be read so: {error}"
        ) from None


def _whole(
    path: Path, parts: Sequence[np.ndarray], class_names: tuple[str, ...], rows: np.ndarray | None = None
) -> ImageSource:
    """Return a source named by rows, from training and test images and labels."""
    train, labels, test, test_labels = parts
    for images, numbers in ((train, labels), (test, test_labels)):
        if images.ndim != 3 or images.dtype != np.uint8 or numbers.shape != images.shape[:1]:
            raise InvalidInputError(
                f"{path} must hold images (n, height, width) of uint8 and n labels, got {images.shape} of"
                f" {images.dtype} and {numbers.shape}: download it again"
            )
    own = np.arange(len(labels)) if rows is None else rows.astype(np.int64)
    return ImageSource(
        train, labels.astype(np.int64), own, own, test, test_labels.astype(np.int64), class_names
    )


def _from_idx(class_names: tuple[str, ...]) -> Callable[[Sequence[Path]], ImageSource]:
    return lambda paths: _whole(paths[0], [read_idx(path) for path in paths], class_names)


_PARTS = ("train_images", "train_labels", "test_images", "test_labels")


def _mnist_npz(paths: Sequence[Path]) -> ImageSource:
    return _whole(paths[0], list(read_npz(paths[0], _PARTS).values()), DIGITS)


def _fashion_npz(paths: Sequence[Path]) -> ImageSource:
    *parts, rows = read_npz(paths[0], (*_PARTS, "train_index")).values()
    return _whole(paths[0], parts, FASHION_CLASSES, rows)


def _from_class_folders(class_names: tuple[str, ...]) -> Callable[[Sequence[Path]], ImageSource]:
    """Return a reader of two folders with a sub-folder a class, numbered from 0."""

    def read(paths: Sequence[Path]) -> ImageSource:
        train, test = (_class_folders(path, len(class_names)) for path in paths)
        return _whole(paths[0], (*train, *test), class_names)

    return read


def _class_folders(folder: Path, num_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return images and labels in the order of the numbers the files are named by."""
    files = [
        (path, label)
        for label in range(num_classes)
        for path in sorted((folder / str(label)).glob("*"))
        if path.suffix.lower() in _IMAGE_SUFFIXES
    ]
    named = [path for path, _ in files if not path.stem.isdigit()]
    found = str(named[0]) if named else f"the {len(files)} images here are not"
    if named or not files or len({int(path.stem) for path, _ in files}) < len(files):
        raise InvalidInputError(
            f"images in {folder}/<class>/ must be named by their rows in the original file, such as"
            f" 00017.png, each another one; {found}: rename them, or download the original files"
        )
    files.sort(key=lambda item: int(item[0].stem))
    return grey_images([path for path, _ in files]), np.array([label for _, label in files])


def _emnist_source(
    train: Sequence[tuple[np.ndarray, np.ndarray]], test: tuple[np.ndarray, np.ndarray]
) -> ImageSource:
    """Return the study's letters of some training parts and a test part; labels A = 1, B = 2, ..."""
    numbers = np.full(27, -1, dtype=np.int64)
    numbers[[ord(letter) - ord("A") + 1 for letter in EMNIST_LETTERS]] = np.arange(len(EMNIST_LETTERS))
    images = np.concatenate([part for part, _ in train])
    labels = numbers[np.concatenate([part for _, part in train])]
    rows = np.flatnonzero(labels >= 0)
    test_labels = numbers[test[1]]
    wanted = test_labels >= 0
    chosen = np.ascontiguousarray(images[rows])
    return ImageSource(
        chosen,
        labels[rows],
        rows,
        digests(chosen),
        np.ascontiguousarray(test[0][wanted]),
        test_labels[wanted],
        EMNIST_LETTERS,
    )


def _emnist_npz(paths: Sequence[Path]) -> ImageSource:
    train = tuple(read_npz(paths[0], _PARTS[:2]).values())
    test = tuple(read_npz(paths[1], _PARTS[2:]).values())
    return _emnist_source([(train[0], train[1])], (test[0], test[1]))


def _letter_numbers(byclass: np.ndarray) -> np.ndarray:
    """Return labels of "byclass" (0-9 digits, then upper, then lower case) as letters; digits become 0."""
    letters = byclass.astype(np.int64) - 9
    return np.where(letters > 26, letters - 26, np.maximum(letters, 0))


def _emnist_mat(paths: Sequence[Path]) -> ImageSource:
    letters = _read_mat(paths[0])
    train = [letters["train"]]
    if len(paths) > 1:
        images, labels = _read_mat(paths[1])["test"]
        train.append((images, _letter_numbers(labels)))
    return _emnist_source(train, letters["test"])


def _read_mat(path: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return images, upright, and labels of both parts of one of EMNIST's Matlab files."""
    from scipy.io import loadmat

    try:
        dataset = loadmat(path, simplify_cells=True, variable_names=["dataset"])["dataset"]
        parts = {name: (dataset[name]["images"], dataset[name]["labels"]) for name in ("train", "test")}
    except (KeyError, TypeError, ValueError, OSError, NotImplementedError) as error:
        raise InvalidInputError(
            f"{path} must be one of EMNIST's Matlab files, it cannot be read so ({error}): download it again"
        ) from None
    # Matlab stores the columns of an image one after the other
    return {
        name: (images.reshape(-1, 28, 28).transpose(0, 2, 1).astype(np.uint8), labels.reshape(-1).astype(int))
        for name, (images, labels) in parts.items()
    }


def _emnist_idx(paths: Sequence[Path]) -> ImageSource:
    # the idx files hold the same bytes as the Matlab files, so each image lies transposed in them
    arrays = [read_idx(path) for path in paths]
    pairs = [
        (images.transpose(0, 2, 1), labels.astype(int))
        for images, labels in zip(arrays[::2], arrays[1::2], strict=True)
    ]
    train = [pairs[0]] + [(images, _letter_numbers(labels)) for images, labels in pairs[2:]]
    return _emnist_source(train, pairs[1])


def _idx_files(prefix: str, train: str, test: str) -> tuple[str, ...]:
    return tuple(
        f"{prefix}{part}-{what}-ubyte[.gz]"
        for part in (train, test)
        for what in ("images-idx3", "labels-idx1")
    )


_IDX = _idx_files("", "train", "t10k")
_MNIST_FORMS = (
    Form(("mnist.npz",), (".",), _mnist_npz),
    Form(_IDX, ("mnist", "MNIST/raw"), _from_idx(DIGITS)),
    Form(("train/", "test/"), ("mnist",), _from_class_folders(DIGITS)),
)
# idx files of MNIST and Fashion-MNIST have the same names, so neither is looked for in the folder itself
_FASHION_FORMS = (
    Form(("fashion_mnist.npz",), (".",), _fashion_npz),
    Form(_IDX, ("fashion_mnist", "FashionMNIST/raw"), _from_idx(FASHION_CLASSES)),
    Form(("train/", "test/"), ("fashion_mnist",), _from_class_folders(FASHION_CLASSES)),
)
_LETTERS_IDX = _idx_files("emnist-letters-", "train", "test")
_BYCLASS_IDX = _idx_files("emnist-byclass-", "train", "test")[2:]
_EMNIST_FOLDERS = ("emnist", "emnist/matlab", "emnist/gzip", "EMNIST/raw", ".")
_EMNIST_FORMS = (
    Form(("emnist_letters.npz", "emnist_letters_test_full.npz"), (".",), _emnist_npz),
    Form(("emnist-letters.mat", "emnist-byclass.mat"), _EMNIST_FOLDERS, _emnist_mat),
    Form((*_LETTERS_IDX, *_BYCLASS_IDX), _EMNIST_FOLDERS, _emnist_idx),
    Form(("emnist-letters.mat",), _EMNIST_FOLDERS, _emnist_mat),
    Form(_LETTERS_IDX, _EMNIST_FOLDERS, _emnist_idx),
)
