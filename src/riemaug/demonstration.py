"""The demonstration on scikit-learn's digits: real images that come with a dependency."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int64, UInt8
from PIL import Image

from riemaug.atomic import atomic_write_text
from riemaug.data import SampleFormat, prepare_output, read_dataset, write_class_files
from riemaug.errors import InvalidInputError

NUM_CLASSES = 10
DIGITS_NAME, AUGMENTED_NAME = "digits", "augmented"
HIGHEST_VALUE = 16
"""Grey levels of scikit-learn's digits: 0 to 16."""


@dataclass(frozen=True, eq=False)
class DigitSplit:
    """Digits to learn from and digits to score on; no image is in both."""

    train_images: UInt8[np.ndarray, "n 8 8"]
    train_labels: Int64[np.ndarray, " n"]
    test_images: UInt8[np.ndarray, "m 8 8"]
    test_labels: Int64[np.ndarray, " m"]


def split_digits(train_per_class: int, seed: int) -> DigitSplit:
    """Return a random split with `train_per_class` digits of each class to learn from."""
    from sklearn.datasets import load_digits

    flat, target = load_digits(return_X_y=True)
    images = np.rint(np.asarray(flat).reshape(-1, 8, 8) * (255 / HIGHEST_VALUE)).astype(np.uint8)
    labels = np.asarray(target, dtype=np.int64)
    smallest = int(np.bincount(labels).min())
    if train_per_class >= smallest:
        raise InvalidInputError(
            f"--train-per-class must leave digits to score on, at most {smallest - 1}, got {train_per_class}"
        )
    order = np.random.default_rng(seed).permutation(len(labels))
    chosen = np.concatenate([order[labels[order] == digit][:train_per_class] for digit in range(NUM_CLASSES)])
    held_out = np.setdiff1d(order, chosen)
    return DigitSplit(images[chosen], labels[chosen], images[held_out], labels[held_out])


def prepare_demonstration(out: Path, split: DigitSplit, resume: bool) -> Path:
    """Return the folder of a new demonstration, or of one to be resumed.

    Raises
    ------
    InvalidInputError
        The folder holds something else, or other digits than are to be learned from now.
    """
    begun = resume and (out / DIGITS_NAME).is_dir()
    if begun and not _fits(split, _written_digits(out / DIGITS_NAME), (out / AUGMENTED_NAME).exists()):
        raise InvalidInputError(
            f"a demonstration resumes only with its own --train-per-class and --seed, {str(out)!r} has other "
            "digits: repeat them as they were, or give another folder"
        )
    return prepare_output(out, allow_existing=begun)


def _fits(split: DigitSplit, written: set[tuple[str, bytes]], learned_from: bool) -> bool:
    # some may lack if the demonstration was killed while it wrote them, but not once they are learned from
    wanted = _digits_of(split)
    return written == wanted if learned_from else written <= wanted


def _digits_of(split: DigitSplit) -> set[tuple[str, bytes]]:
    pairs = zip(split.train_labels.tolist(), split.train_images, strict=True)
    return {(str(label), image.tobytes()) for label, image in pairs}


def _written_digits(folder: Path) -> set[tuple[str, bytes]]:
    """Return class and pixels of the digits that a demonstration begun before has written."""
    files = sorted(folder.glob("*/[!.]*.png"))
    return {(path.parent.name, np.asarray(Image.open(path)).tobytes()) for path in files}


def write_digits(split: DigitSplit, folder: Path) -> None:
    """Write the digits to learn from as PNG class folders."""
    fmt = SampleFormat("folder", (8, 8), "uint8", ".png", None, False)
    folder.mkdir(parents=True, exist_ok=True)
    for digit in range(NUM_CLASSES):
        write_class_files(folder, str(digit), split.train_images[split.train_labels == digit], fmt)


def score_digits(split: DigitSplit, augmented: Path, path: Path) -> dict[str, float]:
    """Return, and write to `path`, the accuracy on held-out digits by what a classifier was trained on.

    The classifier is a support vector machine with scikit-learn's default settings. One draw of the
    training digits: a hint, not a study.
    """
    from sklearn.svm import SVC

    synthetic = read_dataset(augmented)
    real_x, real_y = _flat(split.train_images), split.train_labels
    made_x, made_y = _flat(synthetic.samples), np.array(synthetic.class_names)[synthetic.labels].astype(int)
    trained_on = {
        "real": (real_x, real_y),
        "synthetic": (made_x, made_y),
        "real and synthetic": (np.concatenate([real_x, made_x]), np.concatenate([real_y, made_y])),
    }
    test = _flat(split.test_images)
    scores = {
        name: float(SVC().fit(x, y).score(test, split.test_labels)) for name, (x, y) in trained_on.items()
    }
    sizes = {name: len(y) for name, (_, y) in trained_on.items()}
    content = {
        "classifier": "sklearn.svm.SVC()",
        "held_out": len(test),
        "trained_on": sizes,
        "accuracy": scores,
    }
    atomic_write_text(path, json.dumps(content, indent=1) + "\n")
    return scores


def _flat(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1) / 255.0
