"""Twenty OASIS volumes become forty: the time, every field of the headers, and a picture in three planes.

    RIEMAUG_DATA=DIR python benchmarks/oasis_volumes.py

    python examples/oasis_folders.py heads --volumes
    riemaug augment heads more --factor 2 --fit-shape 46x55x46

The second and third line are what it runs, on `DIR/oasis_nifti`, 20 volumes of 91 x 109 x 91 in two
classes: a fit at half the resolution, new volumes on the grid of the input. New files are then read with
nibabel. Results: benchmarks/results/oasis_volumes.json and docs/images/volumes.png, of new volumes alone.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from PIL import Image

ROOT = Path(__file__).parent.parent
RIEMAUG = Path(sys.executable).with_name("riemaug")
FIELDS = ("dim", "pixdim", "datatype", "xyzt_units", "qform_code", "sform_code")
SCALE = ("slope", "inter")
CLASSES, SHOWN, ZOOM = ("CN", "AD"), 2, 2
"""In the picture: the first volumes of each class, each voxel as so many pixels along both sides."""


def main() -> None:
    """Run the commands, compare, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/oasis_volumes.json")
    parser.add_argument("--picture", type=Path, default=ROOT / "docs/images/volumes.png")
    parser.add_argument("--keep", type=Path, help="a folder for the data and the output, to look at them")
    arguments = parser.parse_args()
    if not os.environ.get("RIEMAUG_DATA"):
        parser.error("name the folder that holds the data with RIEMAUG_DATA")
    with tempfile.TemporaryDirectory(prefix="riemaug-") as temporary:
        work = arguments.keep or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        seconds = run(work / "heads", work / "more")
        result = {**compared(work / "heads", work / "more"), **told(work / "more"), "seconds": seconds}
        picture(work / "more").save(arguments.picture, optimize=True)
    arguments.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))
    if result["fields that differ"]:
        sys.exit("headers of new volumes differ from those of the input")


def run(data: Path, out: Path) -> float:
    """Write the folders and augment them; return the seconds of the second."""
    example = [sys.executable, str(ROOT / "examples/oasis_folders.py"), str(data), "--volumes"]
    subprocess.run(example, check=True)
    command = [str(RIEMAUG), "augment", str(data), str(out), "--factor", "2", "--fit-shape", "46x55x46"]
    started = time.monotonic()
    subprocess.run([*command, "--quiet"], check=True)
    return round(time.monotonic() - started, 1)


def compared(data: Path, out: Path) -> dict[str, Any]:
    """Return how many volumes there are, and which fields are not those of the input."""
    real, new = (sorted(folder.glob("*/*.nii.gz")) for folder in (data, out))
    first = nibabel.load(real[0])
    differ = set()
    for path in new:
        image = nibabel.load(path)
        differ |= {name for name in FIELDS if not np.array_equal(image.header[name], first.header[name])}
        # nibabel keeps these with the voxels, not in the header that it shows
        differ |= {name for name in SCALE if getattr(image.dataobj, name) != getattr(first.dataobj, name)}
        if not np.array_equal(image.affine, first.affine):
            differ.add("affine")
        if not np.isfinite(np.asarray(image.dataobj)).all():
            differ.add("values that are not finite")
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "volumes in": len(real),
        "volumes out": len(new),
        "shape": list(first.shape),
        "compared": [*FIELDS, *SCALE, "affine"],
        "fields that differ": sorted(differ),
    }


def told(out: Path) -> dict[str, Any]:
    """Return what the run tells of itself."""
    run = json.loads((out / "run.json").read_text(encoding="utf-8"))
    return {"peak memory of a process, MB": run["peak_memory_mb"], "sharing": run["sharing"]["reason"]}


def picture(out: Path) -> Image.Image:
    """Return the middle planes of the first new volumes of each class, a volume a row."""
    rows = []
    for name in CLASSES:
        for path in sorted((out / name).glob("*.nii.gz"))[:SHOWN]:
            values = np.asarray(nibabel.load(path).dataobj, np.float64)
            sides = [np.take(values, size // 2, axis) for axis, size in enumerate(values.shape)]
            height = max(plane.shape[1] for plane in sides)
            # the second axis of a plane points up in the scanner's frame
            upright = [np.flipud(plane.T) for plane in sides]
            padded = [np.pad(plane, ((0, height - len(plane)), (0, 4))) for plane in upright]
            rows.append(np.hstack(padded) / values.max())
    grey = np.rint(255 * np.vstack(rows)).astype(np.uint8)
    return Image.fromarray(grey.repeat(ZOOM, 0).repeat(ZOOM, 1))


if __name__ == "__main__":
    main()
