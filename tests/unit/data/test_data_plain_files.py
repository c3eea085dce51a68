"""npy files and multi-page TIFF as samples: what is read and refused, and that it comes back as it was."""

import time

import numpy as np
import pytest
from data_files import noise, refused, save_image
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageSequence

from riemaug.data import read_dataset, write_class_files
from riemaug.data.dataset import SampleFormat
from riemaug.limits import DEFAULT_LIMITS

DTYPES = ("bool", "int8", "uint8", "int16", ">u2", "uint32", "int64", "float16", "float32", ">f8")


def save_arrays(root, shape=(4, 5, 6), dtype="float32", count=2):
    for index in range(2 * count):
        folder = root / "ab"[index % 2]
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / f"{index}.npy", values(index, shape, dtype))
    return root


def values(seed, shape, dtype):
    rng = np.random.default_rng(seed)
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return rng.normal(size=shape).astype(kind)
    if kind.kind == "b":
        return rng.random(shape) < 0.5
    return rng.integers(np.iinfo(kind).min, np.iinfo(kind).max, size=shape, endpoint=True, dtype=kind.type)


def save_stack(path, pages, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    first, *others = [Image.fromarray(page) for page in pages]
    first.save(path, save_all=True, append_images=others, **options)
    return path


def stack_folder(root, shape=(5, 6, 7), dtype="uint8", count=2):
    for index in range(2 * count):
        save_stack(root / "ab"[index % 2] / f"{index}.tif", noise(index, shape, dtype))
    return root


def pages_of(path):
    with Image.open(path) as image:
        return np.stack([np.array(page) for page in ImageSequence.Iterator(image)])


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    shape=st.lists(st.integers(1, 6), min_size=2, max_size=3).map(tuple).filter(lambda s: np.prod(s) > 3),
    dtype=st.sampled_from(DTYPES),
    classes=st.integers(1, 3),
    fortran=st.booleans(),
)
def test_npy_files_come_back_as_they_were(tmp_path_factory, shape, dtype, classes, fortran):
    root = tmp_path_factory.mktemp("npy")
    for index in range(2 * classes):
        folder = root / "data" / f"class {index % classes}"
        folder.mkdir(parents=True, exist_ok=True)
        array = values(index, shape, dtype)
        np.save(folder / f"{index}.npy", np.asfortranarray(array) if fortran else array)
    data = read_dataset(root / "data")
    assert data.samples.dtype == np.dtype(dtype).newbyteorder("=")
    assert SampleFormat.from_dict(data.format.to_dict()) == data.format
    for label, name in enumerate(data.class_names):
        written = write_class_files(root / "out", name, data.of_class(label), data.format)
        sources = [source for source, own in zip(data.names, data.labels, strict=True) if own == label]
        for target, source in zip(written, sources, strict=True):
            again, before = (np.load(root / part) for part in (f"out/{target}", f"data/{source}"))
            assert again.dtype == before.dtype.newbyteorder("=")
            np.testing.assert_array_equal(again, before)


@settings(max_examples=8, deadline=None)
@given(
    shape=st.tuples(st.integers(2, 5), st.integers(1, 7), st.integers(2, 7)),
    dtype=st.sampled_from(["uint8", "uint16", "float32"]),
)
def test_stacks_come_back_as_they_were(tmp_path_factory, shape, dtype):
    root = tmp_path_factory.mktemp("stacks")
    stack_folder(root / "data", shape, dtype)
    data = read_dataset(root / "data")
    assert (data.format.kind, data.format.shape, data.format.dtype) == ("stacks", shape, dtype)
    assert SampleFormat.from_dict(data.format.to_dict()) == data.format
    written = write_class_files(root / "out", "b", data.of_class(1), data.format)
    for name, index in zip(written, (1, 3), strict=True):
        pages = pages_of(root / "out" / name)
        assert pages.dtype == dtype
        np.testing.assert_array_equal(pages, noise(index, shape, dtype))


def test_equal_stacks_and_arrays_give_equal_bytes(tmp_path):
    for make in (stack_folder, save_arrays):
        data = read_dataset(make(tmp_path / make.__name__))
        twice = data.of_class(0)[[0, 0]]
        names = write_class_files(tmp_path / f"{make.__name__}-out", "a", twice, data.format)
        first, second = ((tmp_path / f"{make.__name__}-out" / name).read_bytes() for name in names)
        assert first == second


def test_arrays_are_modelled_smaller_and_named(tmp_path):
    data = read_dataset(save_arrays(tmp_path, (4, 6, 8)), fit_shape=(2, 3, 4))
    assert (data.samples.shape, data.format.shape) == ((4, 2, 3, 4), (4, 6, 8))
    np.testing.assert_allclose(
        data.samples[0, 0, 0, 0], values(0, (4, 6, 8), "float32")[:2, :2, :2].mean(), rtol=1e-5
    )
    assert any("modelled at 2x3x4 and written at their own 4x6x8" in note for note in data.notes)


def test_bad_arrays_are_one_line(tmp_path):
    save_arrays(tmp_path)
    bad = tmp_path / "a" / "z.npy"
    np.save(bad, np.array([{}, {}], dtype=object), allow_pickle=True)
    refused(tmp_path, "'a/z.npy'", "values must be real numbers", "these are object", "--skip-bad")
    good = (tmp_path / "a" / "0.npy").read_bytes()
    for content in (b"", b"\x93NUMPY", good[:50], good[:-3], b"\x80\x04K\x01."):
        bad.write_bytes(content)
        refused(tmp_path, "'a/z.npy'", "1 of 5")
    bad.write_bytes(good.replace(b"(4, 5, 6)", b"(9,)*9**9"))
    refused(tmp_path, "'a/z.npy'", "1 of 5")
    assert read_dataset(tmp_path, skip_bad=True).counts == (2, 2)


@pytest.mark.parametrize(
    ("array", "parts"),
    [
        (np.zeros(7), ["(H, W) or volume (Z, H, W)", "(7)"]),
        (np.zeros((2, 2), complex), ["real numbers", "complex128"]),
        (np.full((4, 5, 6), np.nan), ["must have one kind of number", "float64"]),
        (np.full((4, 5, 6), np.nan, np.float32), ["120 are NaN"]),
        (np.zeros((4, 5, 7), np.float32), ["one shape", "4x5x6", "'a/z.npy' 4x5x7"]),
    ],
)
def test_arrays_that_cannot_be_kept_are_refused(tmp_path, array, parts):
    save_arrays(tmp_path)
    np.save(tmp_path / "a" / "z.npy", array)
    refused(tmp_path, *parts)


def test_a_header_that_promises_too_much_is_refused_before_it_is_read(tmp_path):
    save_arrays(tmp_path)
    with (tmp_path / "a" / "z.npy").open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": (DEFAULT_LIMITS.pixels, 2)}
        np.lib.format.write_array_header_1_0(file, header)
        file.truncate(2 * DEFAULT_LIMITS.pixels + 128)  # a hole: no disk is used
    refused(tmp_path, "'a/z.npy'", f"up to {DEFAULT_LIMITS.pixels} values")


def test_headers_are_parsed_one_at_a_time(tmp_path, monkeypatch):
    # Python's own parser, which numpy reads headers with, loses count when threads use it at one time
    save_arrays(tmp_path, count=10)
    load, inside, most = np.lib.format.read_array_header_1_0, [], []

    def slow_load(*args, **options):
        inside.append(None)
        most.append(len(inside))
        time.sleep(0.002)
        try:
            return load(*args, **options)
        finally:
            inside.pop()

    monkeypatch.setattr("os.cpu_count", lambda: 4)
    monkeypatch.setattr(np.lib.format, "read_array_header_1_0", slow_load)
    assert read_dataset(tmp_path).counts == (10, 10)
    assert (len(most), max(most)) == (40, 1)


def test_sizes_of_plain_arrays_cannot_be_changed(tmp_path):
    save_arrays(tmp_path)
    refused(tmp_path, "for image files", "--fit-shape", pad=True)
    refused(tmp_path, "--fit-shape", "3 sides", fit_shape=(2, 2))
    refused(tmp_path, "--resample", "grid in space", resample=True)


def test_kinds_are_not_mixed(tmp_path):
    save_arrays(tmp_path)
    save_image(tmp_path / "a" / "x.png", noise(1))
    refused(tmp_path, "npy arrays or images", "4 npy arrays such as 'a/0.npy'", "1 images such as 'a/x.png'")


def test_a_stack_among_pictures_or_a_picture_among_stacks_is_named(tmp_path):
    stack_folder(tmp_path)
    save_image(tmp_path / "b" / "z.tif", noise(3, (6, 7)))
    refused(tmp_path, "'b/z.tif'", "has one: move single pictures away")
    save_image(tmp_path / "a" / "0.tif", noise(3, (6, 7)))
    refused(tmp_path, "'a/2.tif'", "5 frames")


def test_pages_must_be_grey_and_alike(tmp_path):
    stack_folder(tmp_path)
    save_stack(tmp_path / "b" / "z.tif", noise(4, (5, 6, 7, 3)))
    refused(tmp_path, "'b/z.tif'", "must be grey")
    save_stack(tmp_path / "b" / "z.tif", [*noise(4, (4, 6, 7)), noise(5, (6, 8))])
    refused(tmp_path, "'b/z.tif'", "page 5 uint8 of 6x8")
    save_stack(tmp_path / "b" / "z.tif", noise(4, (4, 6, 7)))
    refused(tmp_path, "one shape", "5x6x7", "4x6x7")


@pytest.mark.parametrize(
    ("dtype", "read_as", "told"),
    [("int32", "uint16", "32-bit or signed integers"), ("bool", "uint8", "1 bit a pixel")],
)
def test_what_is_done_to_the_numbers_of_stacks_is_told(tmp_path, dtype, read_as, told):
    for index in range(2):
        save_stack(tmp_path / "a" / f"{index}.tif", (noise(index, (3, 6, 7)) // 128).astype(dtype))
    data = read_dataset(tmp_path)
    assert data.format.dtype == read_as
    np.testing.assert_array_equal(data.samples[0] > 0, noise(0, (3, 6, 7)) > 127)
    assert any(f"2 files with {told}" in note for note in data.notes)


def test_stacks_of_signed_bytes_are_not_wrapped(tmp_path):
    for index in range(2):
        pages = [Image.fromarray(page // 2) for page in noise(index, (3, 6, 7))]
        for page in pages:
            page.encoderinfo = {"tiffinfo": {339: 2}}
        (tmp_path / "a").mkdir(exist_ok=True)
        pages[0].save(
            tmp_path / "a" / f"{index}.tif", save_all=True, append_images=pages[1:], tiffinfo={339: 2}
        )
    data = read_dataset(tmp_path)
    np.testing.assert_array_equal(data.samples[0], noise(0, (3, 6, 7)) // 2)
    assert any("2 files with signed 8-bit integers" in note for note in data.notes)
    page = Image.fromarray(np.full((6, 7), 200, np.uint8))
    page.save(tmp_path / "a" / "0.tif", save_all=True, append_images=[page, page], tiffinfo={339: 2})
    refused(tmp_path, "'a/0.tif'", "from -56 to -56")


def test_a_preview_page_is_no_slice(tmp_path):
    for index in range(2):
        pages = [Image.fromarray(page) for page in noise(index, (3, 6, 7))]
        preview = Image.fromarray(noise(9, (2, 2)))
        preview.encoderinfo = {"tiffinfo": {254: 1}}
        (tmp_path / "a").mkdir(exist_ok=True)
        pages[0].save(tmp_path / "a" / f"{index}.tif", save_all=True, append_images=[*pages[1:], preview])
    with Image.open(tmp_path / "a" / "0.tif") as image:
        image.seek(3)
        assert image.tag_v2[254] == 1
    assert read_dataset(tmp_path).samples.shape == (2, 3, 6, 7)


def test_damaged_stacks_are_named_or_skipped(tmp_path):
    path = save_stack(stack_folder(tmp_path) / "b" / "z.tif", noise(4, (5, 6, 7)))
    content = path.read_bytes()
    for keep in (len(content) // 2, len(content) - 40):
        path.write_bytes(content[:keep])
        refused(tmp_path, "'b/z.tif'")  # unreadable, or fewer pages than the others
    for keep in (10, 0):
        path.write_bytes(content[:keep])
        refused(tmp_path, "'b/z.tif'", "1 of 5", "--skip-bad")
    assert read_dataset(tmp_path, skip_bad=True).counts == (2, 2)
