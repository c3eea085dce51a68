"""NIfTI volumes: header, voxels and the gzip around them."""

import gzip
import struct

import nibabel
import numpy as np

from fuzz import scratch
from riemaug.data.nifti import read_volume_header, read_voxels
from riemaug.limits import Limits

LIMITS = Limits(pixels=2**20)


def target(data: bytes) -> None:
    """Read the bytes as they are, or packed if the first byte is odd; with slope and intercept at times."""
    content, kind = data[1:], data[0] if data else 0
    path = scratch.folder("nifti") / "x.nii"
    path.write_bytes(gzip.compress(content, 1) if kind % 2 else content)
    header = read_volume_header(path, LIMITS)
    assert np.isfinite(header.affine).all()
    voxels = read_voxels(path, header, meant=kind % 4 > 1)
    assert voxels.shape == header.shape[:3]
    assert np.isfinite(voxels).all()


def seeds() -> dict[str, bytes]:
    """Return small volumes of both versions and byte orders, and absurd headers."""
    found, voxels = {}, np.arange(24).reshape(2, 3, 4)
    affine = np.diag([1.5, 2, 3, 1])
    for name, image in (
        ("one", nibabel.Nifti1Image(voxels.astype(np.int16), affine)),
        ("two", nibabel.Nifti2Image(voxels / np.float32(7), affine)),
    ):
        image.header.set_slope_inter(0.5, 1)
        content = image.to_bytes()
        found |= {f"{name}-plain": b"\0" + content, f"{name}-packed": b"\3" + content}
        found[f"{name}-file"] = b"\0" + gzip.compress(content, mtime=0)
    plain = found["one-plain"]
    found["huge"] = plain[:41] + struct.pack("<8h", 3, 32767, 32767, 32767, 1, 1, 1, 1) + plain[57:]
    found["negative"] = plain[:41] + struct.pack("<8h", 3, -1, 3, 4, 1, 1, 1, 1) + plain[57:]
    found["far"] = plain[:109] + struct.pack("<f", 1e30) + plain[113:]
    return found
