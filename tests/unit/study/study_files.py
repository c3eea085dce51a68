"""The study's public data sets in miniature, in every form their providers publish."""

import csv
import gzip
import struct
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat

PER_CLASS = 3


def images(count: int, seed: int = 0, shape: tuple[int, int] = (28, 28)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype=np.uint8)


def write_idx(path: Path, values: np.ndarray, compress: bool = False) -> Path:
    """Write 8-bit values in the format of MNIST's files."""
    path.parent.mkdir(parents=True, exist_ok=True)
    head = bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}i", *values.shape)
    raw = head + values.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(raw) if compress else raw)
    return path


def labelled(num_classes: int, seed: int, per_class: int = PER_CLASS) -> tuple[np.ndarray, np.ndarray]:
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(num_classes), per_class))
    return images(len(labels), seed), labels.astype(np.uint8)


def write_mnist_like(folder: Path, form: str, name: str = "mnist") -> dict[str, np.ndarray]:
    """Write a small set of ten classes as "npz", "idx", "idx.gz" or "folders"; return its arrays."""
    (train, labels), (test, test_labels) = labelled(10, 1), labelled(10, 2)
    arrays = {"train_images": train, "train_labels": labels, "test_images": test, "test_labels": test_labels}
    folder.mkdir(parents=True, exist_ok=True)
    if form == "npz":
        extra = {"train_index": 100 + 2 * np.arange(len(labels))} if name == "fashion_mnist" else {}
        np.savez(folder / f"{name}.npz", **arrays, **extra)
    elif form == "folders":
        for part in ("train", "test"):
            pairs = zip(arrays[f"{part}_images"], arrays[f"{part}_labels"], strict=True)
            for row, (image, label) in enumerate(pairs):
                path = folder / name / part / str(label) / f"{row}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(image).save(path)
    else:
        packed = form == "idx.gz"
        for part, ours in (("train", "train"), ("t10k", "test")):
            for what, kind in (("images-idx3", "images"), ("labels-idx1", "labels")):
                file = folder / name / f"{part}-{what}-ubyte{'.gz' if packed else ''}"
                write_idx(file, arrays[f"{ours}_{kind}"], packed)
    return arrays


def emnist_arrays() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return letters (1 to 26) for training and test, and byclass (0 to 61) for test."""
    letters, more = labelled(26, 3), labelled(26, 4)
    return {
        "letters-train": (letters[0], letters[1] + 1),
        "letters-test": (more[0], more[1] + 1),
        "byclass-test": labelled(62, 5, per_class=1),
    }


def write_emnist(folder: Path, form: str, byclass: bool = True) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Write EMNIST in miniature as "npz", "mat", "idx" or "idx.gz"; return its parts, upright."""
    arrays = emnist_arrays()
    (folder / "emnist").mkdir(parents=True, exist_ok=True)
    if form == "npz":
        train, labels = arrays["letters-train"]
        test, test_labels = arrays["letters-test"]
        np.savez(folder / "emnist_letters.npz", train_images=train, train_labels=labels)
        np.savez(folder / "emnist_letters_test_full.npz", test_images=test, test_labels=test_labels)
    elif form == "mat":
        _write_mat(folder / "emnist/emnist-letters.mat", arrays["letters-train"], arrays["letters-test"])
        if byclass:
            _write_mat(folder / "emnist/emnist-byclass.mat", labelled(62, 6, 1), arrays["byclass-test"])
    else:
        for part, (pixels, labels) in arrays.items():
            if byclass or not part.startswith("byclass"):
                start = folder / "emnist" / f"emnist-{part}"
                suffix, packed = (".gz", True) if form == "idx.gz" else ("", False)
                # in EMNIST's idx files rows and columns are exchanged
                write_idx(Path(f"{start}-images-idx3-ubyte{suffix}"), pixels.transpose(0, 2, 1), packed)
                write_idx(Path(f"{start}-labels-idx1-ubyte{suffix}"), labels, packed)
    return arrays


def _write_mat(path: Path, train: tuple, test: tuple) -> None:
    def part(pair: tuple) -> dict[str, np.ndarray]:
        pixels, labels = pair
        return {"images": pixels.transpose(0, 2, 1).reshape(len(pixels), -1), "labels": labels[:, None]}

    savemat(path, {"dataset": {"train": part(train), "test": part(test), "mapping": np.zeros((1, 2))}})


def oasis_arrays(count: int = 416) -> dict[str, np.ndarray]:
    """Return made-up subjects with the numbers 1, 2, ...: 3 of 4 without dementia, from 20 years on."""
    rng = np.random.default_rng(7)
    cdr = np.where(np.arange(count) % 4 == 0, 0.5, np.where(np.arange(count) % 4 == 1, 0.0, np.nan))
    return {
        "images": images(count, 8, (12, 10)),
        "subject_id": np.array([f"OAS1_{number:04d}" for number in range(1, count + 1)]),
        "age": np.where(cdr > 0, rng.integers(62, 97, count), rng.integers(20, 95, count)).astype(np.int16),
        "sex": np.where(rng.random(count) < 0.4, "M", "F"),
        "mmse": np.where(np.isnan(cdr), np.nan, rng.integers(15, 31, count)).astype(np.float32),
        "cdr": cdr.astype(np.float32),
    }


def write_oasis(folder: Path, form: str, count: int = 8) -> dict[str, np.ndarray]:
    """Write made-up subjects as "npz" or as the "distribution": gif slices and a csv file."""
    arrays = oasis_arrays(count)
    folder.mkdir(parents=True, exist_ok=True)
    if form == "npz":
        np.savez(folder / "oasis.npz", **{name: values[::-1] for name, values in arrays.items()})
        return arrays
    rows = [["ID", "M/F", "Hand", "Age", "Educ", "SES", "MMSE", "CDR", "eTIV", "nWBV", "ASF", "Delay"]]
    for row in range(count):
        name = f"{arrays['subject_id'][row]}_MR1"
        place = folder / "oasis" / "disc1" / name / "PROCESSED/MPRAGE/T88_111"
        place.mkdir(parents=True)
        file = place / f"{name}_mpr_n4_anon_111_t88_masked_gfc_tra_90.gif"
        Image.fromarray(arrays["images"][row]).save(file)
        scores = ["" if np.isnan(arrays[key][row]) else f"{arrays[key][row]:g}" for key in ("mmse", "cdr")]
        rows.append(
            [name, arrays["sex"][row], "R", arrays["age"][row], "", "", *scores, 1500, 0.7, 1.1, "N/A"]
        )
    # a second session, which is not read
    rows.append([f"{arrays['subject_id'][0]}_MR2", "F", "R", 33, "", "", "", "", 1500, 0.7, 1.1, 12])
    with (folder / "oasis" / "oasis_cross-sectional.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return arrays
