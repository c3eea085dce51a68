"""Write a few MNIST training images a class as PNG class folders, to have something to augment.

    RIEMAUG_DATA=DIR python examples/mnist_folders.py mnist40
    riemaug augment mnist40 out --preset paper --per-class 200 --seed 0 --jobs 2

DIR holds `mnist.npz` with `train_images` (n, 28, 28) uint8 and `train_labels` (n,).
"""

import argparse
import os
from pathlib import Path

import numpy as np
from PIL import Image


def main() -> None:
    """Write the folders."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--per-class", type=int, default=40)
    parser.add_argument("--draw", type=int, default=0, help="which draw of the training images")
    parser.add_argument("--data-dir", type=Path, default=os.environ.get("RIEMAUG_DATA"))
    arguments = parser.parse_args()
    if arguments.data_dir is None:
        parser.error("name the folder that holds mnist.npz with --data-dir or RIEMAUG_DATA")
    with np.load(Path(arguments.data_dir) / "mnist.npz", allow_pickle=False) as file:
        images, labels = file["train_images"], file["train_labels"]
    order = np.random.default_rng(arguments.draw).permutation(len(labels))
    for digit in range(10):
        folder = arguments.out / str(digit)
        folder.mkdir(parents=True, exist_ok=True)
        for row in order[labels[order] == digit][: arguments.per_class]:
            Image.fromarray(images[row]).save(folder / f"mnist-{row:05d}.png")


if __name__ == "__main__":
    main()
