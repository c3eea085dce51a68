"""Files of a few kilobytes or holes on disk that unfold to 10 GB, and the refusals that they are to meet.

Run as a program it meets them one by one, and prints as JSON how each was refused and by how many megabytes
the memory of the process had grown at its peak.
"""

import json
import resource
import struct
import sys
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

UNFOLDED = 10 * 10**9
_PIECE = 10**7


def deflated(head: bytes) -> bytes:
    """Return a raw deflate stream of `head` and 10 GB of zeros: one packed piece, again and again."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    first = packer.compress(head) + packer.flush(zlib.Z_FULL_FLUSH)
    piece = packer.compress(bytes(_PIECE)) + packer.flush(zlib.Z_FULL_FLUSH)
    return first + piece * (UNFOLDED // _PIECE) + packer.flush(zlib.Z_FINISH)


def write_gzip(path: Path, head: bytes) -> None:
    """Write a gzip file of `head` and 10 GB of zeros; its checksum is wrong, nobody gets so far."""
    path.write_bytes(b"\x1f\x8b\x08" + bytes(7) + deflated(head) + bytes(8))


def write_zip(path: Path, **heads: bytes) -> None:
    """Write a zip archive whose members are a head and 10 GB of zeros each."""
    local, central = b"", b""
    for name, head in heads.items():
        file, content = f"{name}.npy".encode(), deflated(head)
        told = len(head) + UNFOLDED
        sizes = struct.pack("<QQ", told, len(content))
        extra = struct.pack("<HH", 1, len(sizes)) + sizes
        common = struct.pack("<HHHHHIIIHH", 45, 0, 8, 0, 33, 0, 2**32 - 1, 2**32 - 1, len(file), len(extra))
        place = struct.pack("<HHHII", 0, 0, 0, 0, len(local))
        central += b"PK\1\2" + struct.pack("<H", 45) + common + place + file + extra
        local += b"PK\3\4" + common + file + extra + content
    end = struct.pack("<HHHHIIH", 0, 0, len(heads), len(heads), len(central), len(local), 0)
    path.write_bytes(local + central + b"PK\5\6" + end)


def write_hole(path: Path, head: bytes = b"", size: int = UNFOLDED) -> None:
    """Write a file that begins with `head` and is a hole of 10 GB: no disk is used."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(head)
        file.truncate(size)


def npy_head(shape: tuple[int, ...], dtype: str = "|u1") -> bytes:
    """Return the header of an npy file."""
    text = repr({"descr": dtype, "fortran_order": False, "shape": shape}).encode().ljust(117) + b"\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text


LONG_HEADER = b"\x93NUMPY\2\0" + struct.pack("<I", 2**32 - 1)
"""The beginning of an npy file that says that its header is 4 GB long."""


def nifti_head(sides: tuple[int, int, int], offset: float = 352.0) -> bytes:
    """Return the header of a NIfTI-1 file of bytes."""
    head = bytearray(352)
    struct.pack_into("<i", head, 0, 348)
    struct.pack_into("<8h", head, 40, 3, *sides, 1, 1, 1, 1)
    struct.pack_into("<2h", head, 70, 2, 8)
    struct.pack_into("<8f", head, 76, *[1.0] * 8)
    struct.pack_into("<f", head, 108, offset)
    head[344:348] = b"n+1\0"
    return bytes(head)


def png(width: int, height: int) -> bytes:
    """Return a grey picture of the given size, all of it zeros up to 10 GB."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    rows = b"\x78\x9c" + deflated(b"") + bytes(4)
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def tiff_of_large_tiles() -> bytes:
    """Return a picture of 8x8 pixels that is divided into tiles of 60,000x60,000, deflated."""
    content = b"\x78\x9c" + deflated(b"")[:100_000]
    tags = {
        256: 8, 257: 8, 258: 8, 259: 8, 262: 1, 277: 1, 322: 60_000, 323: 60_000, 324: 200, 325: len(content),
    }  # fmt: skip
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    head = b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)
    return head.ljust(200, b"\0") + content


def write_parquet(path: Path) -> None:
    """Write a table of one text of a megabyte that stands in 10,000 rows."""
    import pyarrow
    from pyarrow import parquet

    texts = pyarrow.DictionaryArray.from_arrays(np.zeros(10_000, np.int32), ["x" * 10**6])
    labels = pyarrow.array(["a", "b"] * 5_000)
    table = pyarrow.table({"text": texts, "label": labels})
    parquet.write_table(table, path, store_schema=False)  # so that it is read as plain text


def bombs(folder: Path) -> Iterator[tuple[str, Callable[[], object]]]:
    """Write the files; yield what each is and the call that is to refuse it, or to read little of it."""
    from riemaug.cli.configuration import read_config
    from riemaug.data.array_files import read_array_file
    from riemaug.data.images import decode_image
    from riemaug.data.manifest import read_manifest
    from riemaug.data.metadata_table import list_metadata
    from riemaug.data.nifti import read_volume_header, read_voxels
    from riemaug.data.reading import read_dataset
    from riemaug.importing.tensor_file import read_tensor_file
    from riemaug.serialization import read_description

    (folder / "x.png").write_bytes(png(100_000, 100_000))
    yield "png", partial(decode_image, folder / "x.png")
    (folder / "resized.png").write_bytes(png(100_000, 100_000))
    yield "png to be resized", partial(decode_image, folder / "resized.png", (8, 8))
    (folder / "x.tiff").write_bytes(tiff_of_large_tiles())
    yield "tiff of large tiles", partial(decode_image, folder / "x.tiff")
    write_zip(folder / "x.npz", X=npy_head((10, 10**9)), y=npy_head((10,)))
    yield "npz", partial(read_dataset, folder / "x.npz")
    write_zip(folder / "head.npz", X=LONG_HEADER, y=npy_head((10,)))
    yield "npz of a long header", partial(read_dataset, folder / "head.npz")
    write_hole(folder / "x.npy", LONG_HEADER)
    yield "npy of a long header", partial(read_array_file, folder / "x.npy")
    write_gzip(folder / "x.nii.gz", nifti_head((2000, 2000, 2500)))
    yield "nifti", partial(read_volume_header, folder / "x.nii.gz")
    write_gzip(folder / "far.nii.gz", nifti_head((9, 9, 9), 5e9))
    yield "nifti of far voxels", partial(read_volume_header, folder / "far.nii.gz")
    write_gzip(folder / "more.nii.gz", nifti_head((9, 9, 9)))

    def read_small() -> None:
        header = read_volume_header(folder / "more.nii.gz")
        read_voxels(folder / "more.nii.gz", header)

    yield "nifti followed by zeros", read_small
    write_hole(folder / "table" / "metadata.csv", b"file_name,label\n")
    yield "metadata.csv", partial(list_metadata, folder / "table")
    write_hole(folder / "manifest.csv", b"file,class\n")
    yield "manifest.csv", partial(read_manifest, folder / "manifest.csv")
    write_hole(folder / "x.csv", b"a,label\n")
    yield "csv", partial(read_dataset, folder / "x.csv")
    write_parquet(folder / "x.parquet")
    yield "parquet", partial(read_dataset, folder / "x.parquet")
    for name in ("model.json", "model.safetensors"):
        write_hole(folder / "model" / name)
    yield "model.json", partial(read_description, folder / "model")
    write_zip(folder / "x.pt", data=b"")
    yield "archive of tensors", partial(read_tensor_file, folder / "x.pt")
    write_hole(folder / "x.toml")
    context = type("Context", (), {"resilient_parsing": False})()
    yield "toml", partial(read_config, context, folder / "x.toml")


def peak_mb() -> float:
    """Return the largest memory that this process had, in megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(folder: Path) -> None:
    """Meet all bombs; print what was said of each and how the peak of memory grew."""
    from riemaug.errors import RiemaugError

    np.sort(np.zeros(9))
    for name, call in bombs(folder):
        before = peak_mb()
        try:
            call()
            said = "read"
        except RiemaugError as error:
            said = str(error)
        print(json.dumps([name, said, round(peak_mb() - before, 1)]), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
