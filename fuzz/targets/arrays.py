"""npz and npy files."""

import io
import zipfile

import numpy as np

from fuzz import scratch
from riemaug.data.array_files import read_array_file
from riemaug.data.arrays import read_arrays
from riemaug.limits import Limits

LIMITS = Limits(pixels=2**20, bytes=2**22)
_NPY, _HEADERS = 1, 2


def target(data: bytes) -> None:
    """Read the bytes as an npz file, as an npy file, or as the members of an npz file."""
    kind, content = data[:1], data[1:]
    if kind == b"\1":
        path = scratch.folder("arrays") / "x.npy"
        path.write_bytes(content)
        assert np.isfinite(read_array_file(path, LIMITS)).all()
        return
    path = scratch.folder("arrays") / "x.npz"
    path.write_bytes(_packed(content) if kind == b"\2" else content)
    data_set = read_arrays(path, limits=LIMITS)
    assert len(data_set.samples) == len(data_set.labels)


def _packed(content: bytes) -> bytes:
    """Return an archive of two members, divided where the second header begins: checksums are right."""
    at = content.find(b"\x93NUMPY", 1)
    parts = {"X.npy": content[:at], "y.npy": content[at:]} if at > 0 else {"X.npy": content}
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    return file.getvalue()


def seeds() -> dict[str, bytes]:
    """Return small files of some dtypes and shapes."""
    samples, found = np.arange(24).reshape(6, 2, 2), {}
    for name, array, labels in (
        ("uint8", samples.astype(np.uint8), np.repeat([0, 1], 3)),
        ("float32", samples / 7, np.repeat(["a", "b"], 3)),
        ("big-endian", samples.astype(">i2"), np.repeat([b"a", b"b"], 3)),
    ):
        whole, members, one = io.BytesIO(), io.BytesIO(), io.BytesIO()
        np.savez(whole, X=array, y=labels)
        np.save(members, array)
        np.save(members, labels)
        np.save(one, np.asfortranarray(array[0]))
        found |= {
            f"{name}-npz": b"\0" + whole.getvalue(),
            f"{name}-members": b"\2" + members.getvalue(),
            f"{name}-npy": b"\1" + one.getvalue(),
        }
    return found
