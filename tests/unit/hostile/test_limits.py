"""Limits: how they are given, and that every reader keeps them."""

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from riemaug.data import read_dataset
from riemaug.data.scratch import LEFT_FREE
from riemaug.errors import InvalidInputError
from riemaug.limits import LIMIT_NAMES, Limits, parse_limits, read_bounded

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("texts", "limits"),
    [
        ([], Limits()),
        (["pixels=500M"], Limits(pixels=500_000_000)),
        (["pixels = 1_000", "text-bytes=2k"], Limits(pixels=1000, text_bytes=2000)),
        (["bytes=3T", "columns=7", "pages=2G"], Limits(bytes=3 * 10**12, columns=7, pages=2 * 10**9)),
    ],
)
def test_limits_are_given_by_name(texts: list[str], limits: Limits) -> None:
    assert parse_limits(texts) == limits


@pytest.mark.parametrize(
    "text",
    ["pixels", "pixels=", "=3", "pixel=3", "pixels=-3", "pixels=1.5", "pixels=3m", "pixels=" + "9" * 40],
)
def test_other_texts_are_refused_with_the_names(text: str) -> None:
    with pytest.raises(InvalidInputError, match="--limit takes NAME=NUMBER") as caught:
        parse_limits([text])
    assert all(name in str(caught.value) for name in LIMIT_NAMES)


def test_the_limit_that_was_probably_meant_is_named() -> None:
    with pytest.raises(InvalidInputError, match=r"'text_byte=3'; did you mean text-bytes\?"):
        parse_limits(["text_byte=3"])
    with pytest.raises(InvalidInputError, match=r"got 'pixels=3m'$"):
        parse_limits(["pixels=3m"])


def test_zero_and_a_name_that_is_there_twice_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="at least 1"):
        parse_limits(["pages=0"])
    with pytest.raises(InvalidInputError, match="pages is there twice"):
        parse_limits(["pages=1", "pages=2"])
    with pytest.raises(ValidationError):
        Limits(**{"pixles": 3})


def classes(folder: Path, write: Callable[[Path], None]) -> Path:
    for name in ("a", "b"):
        (folder / name).mkdir()
        for number in range(2):
            write(folder / name / str(number))
    return folder


def pictures(folder: Path) -> Path:
    def write(path: Path) -> None:
        Image.fromarray(RNG.integers(0, 256, (6, 5), dtype=np.uint8)).save(path.with_suffix(".png"))

    return classes(folder, write)


def stacks(folder: Path) -> Path:
    def write(path: Path) -> None:
        first, *others = [Image.fromarray(RNG.integers(0, 256, (6, 5), dtype=np.uint8)) for _ in range(3)]
        first.save(path.with_suffix(".tiff"), save_all=True, append_images=others)

    return classes(folder, write)


def plain_arrays(folder: Path) -> Path:
    return classes(folder, lambda path: np.save(path.with_suffix(".npy"), RNG.random((6, 5))))


def volumes(folder: Path) -> Path:
    nibabel = pytest.importorskip("nibabel")

    def write(path: Path) -> None:
        image = nibabel.Nifti1Image(RNG.random((2, 3, 5)).astype(np.float32), np.eye(4))
        path.with_suffix(".nii.gz").write_bytes(gzip.compress(image.to_bytes()))

    return classes(folder, write)


def archive(folder: Path) -> Path:
    np.savez(folder / "x.npz", X=RNG.random((4, 3)), y=[0, 0, 1, 1])
    return folder / "x.npz"


def csv(folder: Path) -> Path:
    (folder / "x.csv").write_text("a,b,label\n1,2,x\n3,3,x\n2,4,y\n4,6,y\n")
    return folder / "x.csv"


def parquet(folder: Path) -> Path:
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"a": [1.0, 2, 3, 4], "text": ["u" * 99, "v"] * 2, "label": list("xxyy")})
    table.to_parquet(folder / "x.parquet")
    return folder / "x.parquet"


def listed(folder: Path) -> Path:
    names = sorted(path.relative_to(folder).as_posix() for path in pictures(folder).rglob("*.png"))
    (folder / "metadata.csv").write_text("file_name,label\n" + "".join(f"{name},x\n" for name in names))
    return folder


@pytest.mark.parametrize(
    ("make", "name", "enough"),
    [
        (pictures, "pixels", 30),
        (stacks, "pixels", 90),
        (stacks, "pages", 3),
        (plain_arrays, "pixels", 30),
        (volumes, "pixels", 30),
        (archive, "bytes", 128),
        (csv, "bytes", 34),
        (csv, "columns", 3),
        (parquet, "columns", 3),
        (parquet, "bytes", 10**5),
        (listed, "text_bytes", 56),
    ],
)
def test_readers_keep_a_limit_and_say_how_to_raise_it(
    tmp_path: Path, make: Callable[[Path], Path], name: str, enough: int
) -> None:
    data = make(tmp_path)
    assert len(read_dataset(data, limits=Limits(**{name: enough})).samples) == 4
    too_few = 300 if make is parquet and name == "bytes" else enough - 1
    with pytest.raises(InvalidInputError, match=f"--limit {name.replace('_', '-')}=NUMBER") as caught:
        read_dataset(data, limits=Limits(**{name: too_few}))
    assert "\n" not in str(caught.value)


def test_a_raised_limit_lifts_pillows_own_for_that_file_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = pictures(tmp_path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(InvalidInputError, match="promises more than the limit"):
        read_dataset(data)
    assert len(read_dataset(data, limits=Limits(pixels=2**28)).samples) == 4
    assert Image.MAX_IMAGE_PIXELS == 10


def test_many_pictures_are_refused_before_they_fill_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from riemaug.errors import ResourceError

    data = pictures(tmp_path)
    monkeypatch.setattr("riemaug.data.scratch.MOST_IN_MEMORY", 20)
    assert len(read_dataset(data).samples) == 4
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": LEFT_FREE + 10}))
    with pytest.raises(ResourceError, match="set TMPDIR to a folder on a larger disk, or give --resize HxW"):
        read_dataset(data)


def test_a_later_frame_that_is_larger_is_not_unpacked_to_be_counted(tmp_path: Path) -> None:
    data, file = pictures(tmp_path), tmp_path / "a" / "0.gif"
    first, second = (Image.fromarray(np.full((4, 4), grey, np.uint8)) for grey in (0, 255))
    first.save(file, save_all=True, append_images=[second])
    content = file.read_bytes()
    at = content.rindex(b"\x2c\0\0\0\0\4\0\4\0")
    file.write_bytes(content[: at + 5] + b"\x00\xf0\x00\xf0" + content[at + 9 :])
    with pytest.raises(InvalidInputError, match="this one has 2 frames"):
        read_dataset(data)


def test_no_more_than_the_limit_is_read_of_a_device() -> None:
    with pytest.raises(InvalidInputError, match="x may have up to 1,000 bytes"):
        read_bounded(Path("/dev/zero"), 1000, "x")


def test_a_run_is_the_same_whatever_its_limits() -> None:
    from riemaug.run.request import FitRequest, ReadOptions, identity_of

    requests = [
        FitRequest(data=Path("data"), out=Path("out"), reading=ReadOptions(limits=limits, pad=True))
        for limits in (Limits(), Limits(pixels=3))
    ]
    first, second = (identity_of(request, "hash", "1") for request in requests)
    assert first == second
    assert requests[0] != requests[1]
