"""The tables that name files: metadata.csv, participants.tsv and manifest.csv."""

import contextlib
import os
from functools import cache
from pathlib import Path

from fuzz import scratch
from riemaug.data import check_class_names, file_inside, read_manifest
from riemaug.data.bids import BidsOptions, list_bids
from riemaug.data.manifest import MANIFEST_COLUMNS
from riemaug.data.metadata_table import list_metadata, read_plain_table
from riemaug.errors import InvalidInputError


def target(data: bytes) -> None:
    """Read the bytes as one of the tables, by the first byte, in a folder with a few files."""
    kind, content = (data[0] % 3 if data else 0), data[1:]
    root = _folder()
    if kind == 0:
        (root / "metadata.csv").write_bytes(content)
        listing = list_metadata(root)
        assert read_plain_table(root).names
        _check_names(root, [file.name for file in listing.files], [file.class_name for file in listing.files])
    elif kind == 1:
        (root / "participants.tsv").write_bytes(content)
        _check_names(root, [file.name for file in list_bids(root, BidsOptions()).files], [])
    else:
        (root / "manifest.csv").write_bytes(content)
        for row in read_manifest(root / "manifest.csv"):
            with contextlib.suppress(InvalidInputError):
                assert Path(os.path.realpath(file_inside(root, row.file))).is_relative_to(root)


def _check_names(root: Path, names: list[str], classes: list[str]) -> None:
    for name in names:
        assert Path(os.path.realpath((root / name).parent)).is_relative_to(root)
    with contextlib.suppress(InvalidInputError):
        check_class_names(classes)
        for name in classes:
            assert (root / name).parent == root


@cache
def _folder() -> Path:
    root = scratch.folder("metadata")
    for name in (
        "cat/a.png",
        "cat/b.png",
        "dog/a.png",
        "sub-1/anat/sub-1_T1w.nii",
        "sub-2/anat/sub-2_T1w.nii",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    (root / "dataset_description.json").write_text("{}")
    (root / "cat" / "out.png").symlink_to("/etc/hostname")
    (root / "cat" / "away").symlink_to("/etc")
    (root / "cat" / "loop").symlink_to(root / "cat" / "loop")
    return root


def seeds() -> dict[str, bytes]:
    """Return tables as they should be, and some that lead elsewhere."""
    manifest = ",".join(MANIFEST_COLUMNS)
    texts = {
        "metadata": "\0file_name,label\ncat/a.png,x\ncat/b.png,y\n",
        "metadata-all": "\0file_name,label,group,split,synthetic\ncat/a.png,x,p1,train,true\n",
        "metadata-semicolons": '\0\ufeffFile_Name;LABEL\n"cat\\a.png";"\'=x"\n',
        "metadata-out": "\0file_name,label\n../a.png,x\n",
        "metadata-links": "\0file_name,label\ncat/out.png,..\ncat/loop/x.png,z\n",
        "metadata-away": "\0file_name,label\ncat/away/hosts,y\n",
        "participants": "\1participant_id\tgroup\nsub-1\tAD\nsub-2\tCN\n",
        "manifest": f"\2{manifest}\ncat/a.png,cat,1,dog/a.png,-1.5,0.5,cat/b.png,2,no,ab,0.1\n",
        "manifest-out": f"\2{manifest}\n/etc/hosts,cat,,,,,,,,,\ncat/away/hosts,,,,,,,,,,\n",
    }
    return {name: text.encode() for name, text in texts.items()}
