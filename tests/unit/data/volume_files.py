"""NIfTI files for the tests of volumes."""

from pathlib import Path

import nibabel
import numpy as np

AFFINE = np.array([[-2.0, 0, 0, 9], [0, 2.5, 0, -12], [0, 0, 3, -7], [0, 0, 0, 1]])
SHAPE = (9, 11, 8)


def blob(seed: int, shape: tuple[int, ...] = SHAPE, dtype: str = "uint8") -> np.ndarray:
    """Return a smooth bright spot at a place that depends on the seed."""
    rng = np.random.default_rng(seed)
    places = np.stack(np.meshgrid(*(np.linspace(-1, 1, side) for side in shape[:3]), indexing="ij"))
    gaps = places - rng.uniform(-0.3, 0.3, (3, 1, 1, 1))
    bright = np.exp(-2 * np.square(gaps).sum(0)).reshape(shape)
    return bright.astype(dtype) if np.dtype(dtype).kind == "f" else (200 * bright).astype(dtype)


def save_volume(
    path: Path,
    voxels: np.ndarray,
    affine: np.ndarray = AFFINE,
    scale: tuple[float, float] = (1.0, 0.0),
    image_class: type = nibabel.Nifti1Image,
    **fields: object,
) -> Path:
    """Write voxels as they are to be stored, with a scale factor in the header."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = image_class(voxels, affine)
    image.header.set_data_dtype(voxels.dtype)
    image.header.set_slope_inter(*scale)
    for name, value in fields.items():
        image.header[name] = value
    image.to_filename(path)
    return path


def volume_folder(root: Path, count: int = 3, **options: object) -> Path:
    """Write the classes a and b of `count` volumes each."""
    for index in range(2 * count):
        save_volume(root / "ab"[index % 2] / f"scan{index}.nii.gz", blob(index), **options)
    return root


def stored(path: Path) -> np.ndarray:
    """Return the stored voxels of a file, read by nibabel."""
    return np.asarray(nibabel.load(path).dataobj.get_unscaled())
