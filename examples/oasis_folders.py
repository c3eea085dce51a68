"""Write OASIS-1 subjects as class folders (CN, AD) with a metadata.csv that names the subject as group.

Slices as 8-bit grey PNG, or with --volumes whole heads as NIfTI:

RIEMAUG_DATA=DIR python examples/oasis_folders.py oasis60 --per-class 60
riemaug augment oasis60 out --per-class 100

RIEMAUG_DATA=DIR python examples/oasis_folders.py heads --volumes
riemaug augment heads more --factor 2 --fit-shape 46x55x46

DIR holds `oasis.npz` with `images` (n, H, W) uint8, `label` (n,), `subject_id` (n,) and `qc_ok` (n,), and for
volumes `oasis_nifti/` with `subjects.csv` (session_id, label) and the volumes, named by their session.
"""

import argparse
import csv
import os
import shutil
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ("CN", "AD")


def main() -> None:
    """Write the folders."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--per-class", type=int, default=60)
    parser.add_argument("--draw", type=int, default=0, help="which draw of the subjects")
    parser.add_argument("--volumes", action="store_true", help="the volumes, not the slices")
    parser.add_argument("--data-dir", type=Path, default=os.environ.get("RIEMAUG_DATA"))
    arguments = parser.parse_args()
    if arguments.data_dir is None:
        parser.error("name the folder that holds the data with --data-dir or RIEMAUG_DATA")
    for name in CLASSES:
        (arguments.out / name).mkdir(parents=True, exist_ok=True)
    source = Path(arguments.data_dir)
    if arguments.volumes:
        rows = copy_volumes(source / "oasis_nifti", arguments.out, arguments.per_class)
    else:
        rows = write_slices(source / "oasis.npz", arguments.out, arguments.per_class, arguments.draw)
    with (arguments.out / "metadata.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("file_name", "label", "group"))
        writer.writerows(rows)


def write_slices(archive: Path, out: Path, per_class: int, draw: int) -> list[tuple[str, str, str]]:
    """Write slices of drawn subjects; return file, class and subject of each."""
    with np.load(archive, allow_pickle=False) as file:
        images, labels, subjects, good = (file[k] for k in ("images", "label", "subject_id", "qc_ok"))
    order = np.random.default_rng(draw).permutation(len(labels))
    rows = []
    for value, name in enumerate(CLASSES):
        for row in order[(labels[order] == value) & good[order]][:per_class]:
            rows.append((f"{name}/{subjects[row]}.png", name, str(subjects[row])))
            Image.fromarray(images[row]).save(out / rows[-1][0])
    return rows


def copy_volumes(folder: Path, out: Path, per_class: int) -> list[tuple[str, str, str]]:
    """Copy the volumes of the first subjects; return file, class and subject of each."""
    with (folder / "subjects.csv").open(encoding="utf-8", newline="") as file:
        listed = list(csv.DictReader(file))
    rows = []
    for value, name in enumerate(CLASSES):
        sessions = [row["session_id"] for row in listed if int(row["label"]) == value][:per_class]
        for session in sessions:
            rows.append((f"{name}/{session}.nii.gz", name, session.rpartition("_")[0]))
            shutil.copyfile(next(folder.glob(f"*{session}*.nii.gz")), out / rows[-1][0])
    return rows


if __name__ == "__main__":
    main()
