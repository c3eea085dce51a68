"""Write some OASIS-1 slices a class (CN, AD) as 8-bit grey PNG class folders.

RIEMAUG_DATA=DIR python examples/oasis_folders.py oasis60 --per-class 60
riemaug augment oasis60 out --per-class 100

DIR holds `oasis.npz` with `images` (n, H, W) uint8, `label` (n,), `subject_id` (n,) and `qc_ok` (n,).
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
    parser.add_argument("--per-class", type=int, default=60)
    parser.add_argument("--draw", type=int, default=0, help="which draw of the subjects")
    parser.add_argument("--data-dir", type=Path, default=os.environ.get("RIEMAUG_DATA"))
    arguments = parser.parse_args()
    if arguments.data_dir is None:
        parser.error("name the folder that holds oasis.npz with --data-dir or RIEMAUG_DATA")
    with np.load(Path(arguments.data_dir) / "oasis.npz", allow_pickle=False) as file:
        images, labels, subjects, good = (file[k] for k in ("images", "label", "subject_id", "qc_ok"))
    order = np.random.default_rng(arguments.draw).permutation(len(labels))
    for value, name in ((0, "CN"), (1, "AD")):
        folder = arguments.out / name
        folder.mkdir(parents=True, exist_ok=True)
        for row in order[(labels[order] == value) & good[order]][: arguments.per_class]:
            Image.fromarray(images[row]).save(folder / f"{subjects[row]}.png")


if __name__ == "__main__":
    main()
