"""npz files: keys, labels, what is refused."""

import contextlib
import io
import zipfile

import numpy as np
import pytest
from data_files import refused

from riemaug.data import read_dataset
from riemaug.data.arrays import read_arrays
from riemaug.errors import InvalidInputError, ResourceError
from riemaug.limits import Limits

X = np.arange(24, dtype=np.float32).reshape(6, 4)
Y = np.array([0, 0, 0, 1, 1, 1])


@pytest.fixture
def npz(tmp_path):
    def save(**arrays):
        path = tmp_path / "data.npz"
        np.savez(path, **arrays)
        return path

    return save


@pytest.mark.parametrize(
    "keys",
    [
        ("X", "y"),
        ("X", "Y"),
        ("x", "y"),
        ("images", "labels"),
        ("images", "label"),
        ("train_images", "train_labels"),
    ],
)
def test_keys(npz, keys):
    data = read_dataset(npz(**{keys[0]: X, keys[1]: Y, "other": np.arange(3)}))
    np.testing.assert_array_equal(data.samples, X)
    assert data.format.array_keys == keys
    assert data.format.kind == "arrays"
    assert data.names[4] == "row 4"
    assert data.counts == (3, 3)


def test_test_arrays_are_left_alone_with_a_note(npz):
    data = read_dataset(npz(x_train=X, y_train=Y, x_test=X, y_test=Y))
    assert data.notes == ("Only x_train and y_train were read, no other array of the file.",)


def test_other_keys_are_refused(npz):
    refused(npz(data=X, target=Y), "X and y, or images and labels", "'data', 'target'")
    refused(npz(X=X, y=Y, images=X, labels=Y), "X and y; images and labels", "keep one")


@pytest.mark.parametrize(
    "dtype",
    ["bool", "uint8", "int8", "uint16", "int32", "int64", "float16", "float32", "float64", ">f4", ">i2"],
)
def test_dtypes_and_shapes_are_kept(npz, dtype):
    samples = (np.arange(6 * 3 * 2 * 2) % 7 % 2).reshape(6, 3, 2, 2).astype(dtype)
    data = read_dataset(npz(X=np.asfortranarray(samples), y=Y))
    assert data.samples.dtype == np.dtype(dtype).newbyteorder("=")
    assert data.format.dtype == np.dtype(dtype).name
    assert data.format.shape == (3, 2, 2)
    np.testing.assert_array_equal(data.samples, samples)


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (np.array([10, 9, 10, 9, 2, 2]), ("2", "9", "10")),
        (np.array([-1, 1, -1, 1, 1, 1], np.int8), ("-1", "1")),
        (np.array([True, False] * 3), ("False", "True")),
        (np.array(["b", "a", "b", "a", "é", "é"]), ("a", "b", "é")),
        (np.array([b"b", b"a"] * 3), ("a", "b")),
        (np.array([1.0, 2.0] * 3), ("1", "2")),
        (np.array([[1], [2]] * 3, np.uint8), ("1", "2")),
    ],
)
def test_labels(npz, labels, names):
    data = read_dataset(npz(X=X, y=labels))
    assert data.class_names == names
    assert data.label_values is not None
    assert data.label_values.dtype == labels.dtype
    np.testing.assert_array_equal(data.label_values[data.labels], labels.reshape(-1))


@pytest.mark.parametrize(
    ("labels", "parts"),
    [
        (Y[:5], ("one label for each of the 6 rows", "(5,)")),
        (np.stack([Y, Y], axis=1), ("(6, 2)",)),
        (np.array([0.5] * 6), ("row 0 holds 0.5", "whole numbers")),
        (np.array([0, 0, 0, 1, 1, np.nan]), ("row 5 holds nan",)),
        (np.array(["a", "a", "a", "", "", ""]), ("row 3 is empty",)),
        (np.array([0, 0, 0, 0, 0, 1]), ("at least 2 rows", "'1'")),
        (Y.astype(complex), ("complex128",)),
        (Y.astype("datetime64[s]"), ("datetime64",)),
    ],
)
def test_bad_labels_are_refused(npz, labels, parts):
    refused(npz(X=X, y=labels), *parts)


@pytest.mark.parametrize(
    ("samples", "parts"),
    [
        (np.arange(6.0), ("reshape", "(6,)")),
        (np.zeros((6, 0)), ("(6, 0)",)),
        (np.zeros((0, 4)), ("(0, 4)",)),
        (X.astype(complex), ("real numbers", "complex128")),
        (X.astype(str), ("real numbers",)),
        (np.zeros(6, dtype=[("a", float)]).reshape(6, 1), ("real numbers",)),
        (np.full((6, 4), 3), ("one value 3",)),
        (np.concatenate([np.tile(X[0], (3, 1)), X[3:]]), ("class '0'", "identical")),
    ],
)
def test_bad_samples_are_refused(npz, samples, parts):
    refused(npz(X=samples, y=Y), *parts)


def test_missing_values_are_counted(npz):
    holes = X.copy()
    holes[2, 1], holes[4, 0], holes[4, 3] = np.nan, np.inf, np.nan
    refused(npz(X=holes, y=Y), "3 values are NaN or infinite", "the first in row 2")


@pytest.mark.parametrize("key", ["X", "y", "groups"])
def test_object_arrays_are_refused(tmp_path, key):
    arrays = {"X": X, "y": Y, "groups": Y}
    arrays[key] = arrays[key].astype(object)
    np.savez(tmp_path / "data.npz", allow_pickle=True, **arrays)
    refused(tmp_path / "data.npz", f"{key} of", "Python objects", ".astype")


def test_groups(npz):
    groups = np.array(["p", "p", "q", "q", "r", "r"])
    assert read_dataset(npz(X=X, y=Y, groups=groups)).groups == tuple(groups)
    assert read_dataset(npz(X=X, y=Y, groups=Y), group_from="column").groups == tuple("000111")
    refused(npz(X=X, y=Y, groups=Y[:2]), "groups must hold one value for each of the 6 rows")
    refused(npz(X=X, y=Y), "array groups", group_from="column")
    refused(npz(X=X, y=Y), "can only be column", group_from="folder")


def test_duplicates_across_classes_are_noted(npz):
    samples = X.copy()
    samples[5] = samples[0]
    (note,) = read_dataset(npz(X=samples, y=Y)).notes
    assert "'row 0' (0) and 'row 5' (1)" in note


@pytest.mark.parametrize("options", [{"resize": (2, 2)}, {"pad": True}, {"crop": True}])
def test_sizes_are_for_folders(npz, options):
    refused(npz(X=X, y=Y), "folders of images", **options)


def npy_header(shape):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return file.getvalue()


def write_archive(path, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return path


def test_promised_bomb_is_refused_before_unpacking(tmp_path):
    path = write_archive(tmp_path / "bomb.npz", X=npy_header((2**20, 2**20)), y=npy_header((2**20,)))
    refused(path, "X.npy promises 1,099,511,627,776 bytes, 0 are there")


def test_limit_is_on_the_arrays_that_are_read(npz):
    path = npz(X=X, y=Y, unused=np.zeros(10**6))
    assert len(read_arrays(path, limits=Limits(bytes=1000)).samples) == 6
    with pytest.raises(InvalidInputError, match="save a smaller part"):
        read_arrays(path, limits=Limits(bytes=100))


def test_more_than_the_free_memory_is_refused(tmp_path, npz, monkeypatch):
    monkeypatch.setattr("riemaug.data.checks.free_memory", lambda: 100)
    np.savez_compressed(tmp_path / "packed.npz", X=X, y=Y)
    with pytest.raises(ResourceError, match="GiB are free: save a smaller part"):
        read_arrays(tmp_path / "packed.npz")
    assert read_arrays(npz(X=X, y=Y)).counts == (3, 3)  # stays on disk


@pytest.mark.parametrize(
    "content", [b"", b"no npy", npy_header((6, 4)), npy_header((-1, 4)), npy_header((6, 4))[:20]]
)
def test_damaged_members_are_refused(tmp_path, content):
    labels = io.BytesIO()
    np.save(labels, Y)
    refused(write_archive(tmp_path / "bad.npz", X=content, y=labels.getvalue()), "bad.npz")


def test_damaged_archives_are_refused(npz):
    path = npz(X=X, y=Y)
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    for keep in (0, 10, len(content) // 2, len(content) - 5):
        path.write_bytes(content[:keep])
        refused(path, "must be an npz file", "save it again")
    for _ in range(200):
        damaged = bytearray(content)
        for position in rng.integers(0, len(content), 3):
            damaged[position] = rng.integers(256)
        path.write_bytes(damaged)
        # nothing but our own errors may come out; damage in the padding goes unseen
        with contextlib.suppress(InvalidInputError, ResourceError):
            assert read_dataset(path).samples.shape == X.shape


def test_name_without_npz_suffix_is_read(npz):
    path = npz(X=X, y=Y)
    assert len(read_dataset(path.rename(path.with_suffix(".dat"))).samples) == 6
