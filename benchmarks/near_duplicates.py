"""How alike different images are, and how alike one image and its altered copy: what the leak check rests on.

    RIEMAUG_DATA=DIR python benchmarks/near_duplicates.py --docs docs/split.md

Different images: each of the first set is compared with all of the second; images of OASIS and its volumes
are one a subject. Copies: 300 images (20 volumes) of the first set are altered and compared with themselves.
Correlations are those of `riemaug.data.find_leaks`. Results: `results/near_duplicates.json`.
"""

import argparse
import io
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from riemaug.data.likeness import NEAR_CORRELATION, Signatures, signature, standardised
from riemaug.data.nifti import read_volume_header, read_voxels

RESULTS = Path(__file__).parent / "results" / "near_duplicates.json"
BEGIN = "<!-- results: written by benchmarks/near_duplicates.py --docs, do not edit -->"
END = "<!-- end of the results -->"
BLOCK, COPIES = 500, 300
LIMITS = (0.99, NEAR_CORRELATION, 0.999)


@dataclass(frozen=True)
class Case:
    """Two sets of different images, or one (`second` None) whose images are compared with each other."""

    name: str
    first: np.ndarray
    second: np.ndarray | None = None


def read_cases(folder: Path) -> list[Case]:
    files = {name: np.load(folder / f"{name}.npz") for name in ("mnist", "emnist_letters", "fashion_mnist")}
    oasis = np.load(folder / "oasis.npz")
    volumes = []
    for path in sorted((folder / "oasis_nifti").glob("*.nii.gz")):
        volumes.append(read_voxels(path, read_volume_header(path)))
    digits = np.rint(load_digits().images * (255 / 16)).astype(np.uint8)
    return [
        Case("digits of scikit-learn, 8 x 8", digits),
        *(
            Case(f"{name} test against train", file["test_images"], file["train_images"])
            for name, file in zip(("MNIST", "EMNIST letters", "Fashion-MNIST"), files.values(), strict=True)
        ),
        Case("OASIS slices, 208 x 176", oasis["images"][oasis["qc_ok"]]),
        Case("OASIS volumes, 91 x 109 x 91", np.stack(volumes)),
    ]


def rows_of(*images: np.ndarray) -> np.ndarray:
    items = tuple(map(signature, images))
    return standardised([Signatures(tuple(map(str, range(len(items)))), items)])[0]


def nearest(case: Case) -> np.ndarray:
    """Return the highest correlation of each image of the first set with another one."""
    first = rows_of(*case.first)
    second = first if case.second is None else rows_of(*case.second)
    highest = []
    for start in range(0, len(first), BLOCK):
        found = first[start : start + BLOCK] @ second.T
        if case.second is None:
            rows = np.arange(len(found))
            found[rows, start + rows] = -1
        highest.append(found.max(1))
    return np.concatenate(highest)


def _jpeg(quality: int) -> Callable[[np.ndarray], np.ndarray]:
    def altered(image: np.ndarray) -> np.ndarray:
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "JPEG", quality=quality)
        return np.asarray(Image.open(buffer))

    return altered


def _noise(image: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, 10, image.shape)
    return np.clip(np.rint(image + noise), 0, 255).astype(np.uint8)


def _halved(image: np.ndarray) -> np.ndarray:
    height, width = image.shape
    return np.asarray(Image.fromarray(image).resize((width // 2, height // 2), Image.Resampling.BOX))


ALTERATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "JPEG, quality 90": _jpeg(90),
    "JPEG, quality 75": _jpeg(75),
    "JPEG, quality 50": _jpeg(50),
    "darker: 0.7 x + 20": lambda image: np.rint(image * 0.7 + 20).astype(np.uint8),
    "gamma 0.8": lambda image: np.rint(255 * (image / 255) ** 0.8).astype(np.uint8),
    "noise, deviation 10": _noise,
    "half the size": _halved,
    "moved by 1 pixel": lambda image: np.roll(image, 1, axis=-1),
}


def recognised(case: Case) -> dict[str, float]:
    """Return which share of altered copies correlates with the image up to the limit."""
    shares = {}
    images = case.first[:COPIES]
    for name, alter in ALTERATIONS.items():
        if images.ndim == 4 and ("JPEG" in name or "half" in name):
            continue
        # one copy less than images: as in a data set, the size of the images is the most common one
        altered = [alter(image) for image in images[1:]]
        rows = rows_of(*images, *altered)
        correlation = np.einsum("ij,ij->i", rows[1 : len(images)], rows[len(images) :], dtype=np.float64)
        shares[name] = float((correlation >= NEAR_CORRELATION).mean())
    return shares


def measure(folder: Path) -> dict[str, dict]:
    results = {}
    for case in read_cases(folder):
        highest = nearest(case)
        compared = len(case.first) if case.second is None else len(case.second)
        results[case.name] = {
            "images": len(highest),
            "compared_with": compared,
            "highest": float(highest.max()),
            "above": {str(limit): int((highest >= limit).sum()) for limit in LIMITS},
            "copies_recognised": recognised(case),
        }
        print(case.name, json.dumps(results[case.name]), flush=True)
    return results


def tables(results: dict[str, dict]) -> str:
    limits = " | ".join(f"at least {limit}" for limit in LIMITS)
    lines = [f"| different images | compared | highest correlation | {limits} |", "|---" * 6 + "|"]
    for name, found in results.items():
        compared = f"{found['images']:,} x {found['compared_with']:,}"
        above = " | ".join(str(count) for count in found["above"].values())
        lines.append(f"| {name} | {compared} | {found['highest']:.4f} | {above} |")
    lines += ["", f"| altered copies recognised | {' | '.join(ALTERATIONS)} |", "|---" * 9 + "|"]
    for name, found in results.items():
        shares = found["copies_recognised"]
        told = [f"{100 * shares[key]:.0f} %" if key in shares else "" for key in ALTERATIONS]
        lines.append(f"| {name.split(',')[0].split(' test')[0]} | {' | '.join(told)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, default=os.environ.get("RIEMAUG_DATA"))
    parser.add_argument("--docs", type=Path, help="the page to write the tables into")
    arguments = parser.parse_args()
    if arguments.data_dir is None:
        parser.error("name the folder that holds the data sets with --data-dir or RIEMAUG_DATA")
    results = measure(Path(arguments.data_dir))
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    if arguments.docs:
        before, rest = arguments.docs.read_text(encoding="utf-8").split(BEGIN)
        after = rest.split(END)[1]
        page = f"{before}{BEGIN}\n\n{tables(results)}\n\n{END}{after}"
        arguments.docs.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
