"""The leak check: the same image in any dress, the same subject, near duplicates, and nothing else."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
from data_files import save_image
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sklearn.datasets import load_digits
from volume_files import blob, save_volume

from riemaug.data import Dataset, check_no_leak, find_leaks, read_dataset
from riemaug.data.arrays import dataset_of_arrays
from riemaug.data.likeness import Signatures, alike_sets, connect, signature
from riemaug.errors import InvalidInputError

DATA = os.environ.get("RIEMAUG_DATA")


def smooth(seed: int, side: int = 40) -> np.ndarray:
    """Return a picture of soft spots, uint8, with room to be made brighter or darker."""
    random = np.random.default_rng(seed)
    coarse = Image.fromarray(random.integers(40, 200, (6, 6)).astype(np.uint8))
    return np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC))


def as_jpeg(image: np.ndarray, quality: int = 75) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def dataset(images: list[np.ndarray], groups: list[str] | None = None) -> Dataset:
    # one class, two where there are enough images
    found = dataset_of_arrays(np.stack(images), np.arange(len(images)) % (2 if len(images) > 3 else 1))
    if groups is None:
        return found
    return Dataset(**{**vars(found), "groups": tuple(groups)})


@pytest.fixture(scope="module")
def train() -> list[np.ndarray]:
    return [smooth(seed) for seed in range(12)]


@pytest.fixture(scope="module")
def test() -> list[np.ndarray]:
    return [smooth(seed) for seed in range(100, 106)]


def test_different_images_share_nothing(train, test) -> None:
    assert find_leaks(dataset(train), dataset(test)) == []
    check_no_leak(dataset(train), dataset(test))


def test_the_same_image_is_found_once(train, test) -> None:
    (leak,) = find_leaks(dataset(train), dataset([*test, train[4]]))
    assert (leak.kind, leak.train, leak.test) == ("same image", "row 4", "row 6")


def test_equal_rows_of_tables_are_called_rows() -> None:
    rows = [np.arange(5.0) + row for row in range(6)]
    (leak,) = find_leaks(dataset(rows[:4]), dataset([*rows[4:], rows[1]]))
    assert str(leak) == "'row 2' and 'row 1' (same row)"


@pytest.mark.parametrize(
    "alter",
    [
        as_jpeg,
        lambda image: np.rint(0.7 * image + 20).astype(np.uint8),
        lambda image: np.rint(255 * (image / 255) ** 0.8).astype(np.uint8),
        lambda image: image + np.random.default_rng(0).integers(0, 5, image.shape, dtype=np.uint8),
    ],
    ids=["jpeg", "darker", "gamma", "noise"],
)
def test_an_altered_copy_is_a_near_duplicate(train, test, alter) -> None:
    (leak,) = find_leaks(dataset(train), dataset([*test, alter(train[7])]))
    assert (leak.kind, leak.train, leak.test) == ("near duplicate", "row 7", "row 6")
    assert leak.correlation is not None
    assert 0.995 <= leak.correlation <= 1
    assert find_leaks(dataset(train), dataset([*test, alter(train[7])]), near=False) == []


def test_sizes_and_value_types_may_differ(train, test) -> None:
    large = [smooth(seed, 130) for seed in range(12)]
    small = [np.asarray(Image.fromarray(image).resize((66, 66))) for image in (large[3], smooth(200, 130))]
    leaks = find_leaks(dataset(large), dataset(small))
    assert [(leak.train, leak.test) for leak in leaks] == [("row 3", "row 0")]
    deep = [257 * image.astype(np.uint16) for image in (train[2], test[0])]
    assert [leak.train for leak in find_leaks(dataset(train), dataset(deep))] == ["row 2"]


def test_a_subject_in_both_is_found(train, test) -> None:
    subjects = [f"s{number}" for number in range(12)]
    leaks = find_leaks(dataset(train, subjects), dataset(test, ["s3", "t1", "t2", "s3", "t4", "t5"]))
    assert [(leak.kind, leak.train, leak.test, leak.subject) for leak in leaks] == [
        ("same subject", "row 3", "row 0", "s3"),
        ("same subject", "row 3", "row 3", "s3"),
    ]
    assert find_leaks(dataset(train, subjects), dataset(test)) == []


def test_the_error_counts_the_samples_and_names_some_of_each_kind(train, test) -> None:
    subjects = [f"s{number}" for number in range(12)]
    other = dataset([*test, train[1], train[2], as_jpeg(train[3])], [*["s0"] * 6, "t", "t", "t"])
    with pytest.raises(InvalidInputError) as caught:
        check_no_leak(dataset(train, subjects), other)
    message = str(caught.value)
    assert "\n" not in message
    assert "9 of the 9 samples of the test data" in message
    assert "'row 6' and 'row 1' (same image)" in message
    assert "'row 0' and 'row 0' (same subject 's0')" in message
    assert "'row 8' and 'row 3' (near duplicate, correlation 0.99" in message
    assert "and 6 more" in message


def test_the_same_pixels_in_another_file_format_are_the_same_image(tmp_path: Path, train, test) -> None:
    for number, image in enumerate(train[:4]):
        save_image(tmp_path / "train" / "ab"[number % 2] / f"{number}.png", image)
    for number, image in enumerate([train[2], *test[:3]]):
        save_image(tmp_path / "test" / "ab"[number % 2] / f"other-{number}.bmp", image)
    (leak,) = find_leaks(read_dataset(tmp_path / "train"), read_dataset(tmp_path / "test"))
    assert (leak.kind, leak.train, leak.test) == ("same image", "a/2.png", "a/other-0.bmp")


def test_colour_is_compared_and_grey_copies_are_found(train, test) -> None:
    def coloured(seed: int) -> np.ndarray:
        return np.stack([smooth(3 * seed + channel) for channel in range(3)], axis=2)

    pictures = [coloured(seed) for seed in range(5)]
    # equal but for the order of the channels: another picture
    assert find_leaks(dataset(pictures), dataset([pictures[0][..., ::-1], pictures[1][..., ::-1]])) == []
    grey = [np.rint(picture.mean(-1)).astype(np.uint8) for picture in (pictures[2], coloured(50))]
    assert [leak.train for leak in find_leaks(dataset(pictures), dataset(grey))] == ["row 2"]


def test_volumes_are_compared(tmp_path: Path) -> None:
    for number in range(4):
        save_volume(tmp_path / "train" / "ab"[number % 2] / f"{number}.nii.gz", blob(number))
        dimmed = (0.8 * blob(number + 3)).astype(np.uint8)
        save_volume(tmp_path / "test" / "ab"[number % 2] / f"{number}.nii.gz", dimmed)
    (leak,) = find_leaks(read_dataset(tmp_path / "train"), read_dataset(tmp_path / "test"))
    assert (leak.kind, leak.train, leak.test) == ("near duplicate", "b/3.nii.gz", "a/0.nii.gz")


def test_rows_of_tables_are_the_same_only_if_they_are_equal() -> None:
    random = np.random.default_rng(0)
    # columns of very different sizes: all rows correlate
    table = random.normal(size=(20, 80)) + np.arange(80) * 1000
    assert find_leaks(dataset(list(table[:10])), dataset(list(table[10:]))) == []
    assert len(find_leaks(dataset(list(table[:10])), dataset(list(table[9:])))) == 1


@pytest.mark.parametrize("value", [0.0, 1e-30, 1e30])
def test_constant_and_extreme_images_break_nothing(value: float, train) -> None:
    flat = np.full((40, 40), value)
    images = [flat, *(image * (value or 1.0) for image in train[:3])]
    others = [flat + 2 * (value or 1.0), *(image * (value or 1.0) for image in train[3:6])]
    assert find_leaks(dataset(images), dataset(others)) == []


def test_different_digits_are_no_near_duplicates() -> None:
    images = load_digits().images.astype(np.uint8)
    assert find_leaks(dataset(list(images[:1000])), dataset(list(images[1000:]))) == []


@pytest.mark.skipif(DATA is None, reason="needs RIEMAUG_DATA, the folder of the test data")
@pytest.mark.parametrize(("name", "count"), [("mnist", 4000), ("emnist_letters", 4000)])
def test_no_false_alarm_on_real_images(name: str, count: int) -> None:
    file = np.load(Path(DATA or "") / f"{name}.npz")
    train, test = list(file["train_images"][:count]), list(file["test_images"][:1000])
    assert find_leaks(dataset(train), dataset(test)) == []


@given(
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=12),
)
def test_samples_with_a_key_in_common_are_in_one_set(keys: list[tuple[int, int]]) -> None:
    found = connect([key[0] for key in keys], [key[1] for key in keys])
    expected = list(range(len(keys)))
    for _ in keys:
        for i, one in enumerate(keys):
            for j, other in enumerate(keys):
                if one[0] == other[0] or one[1] == other[1]:
                    expected[i] = expected[j] = min(expected[i], expected[j])
    assert all(
        (found[i] == found[j]) == (expected[i] == expected[j])
        for i in range(len(keys))
        for j in range(len(keys))
    )


def test_sets_of_the_alike(train) -> None:
    images = [train[0], train[1], as_jpeg(train[0]), train[1], train[2]]
    signatures = Signatures(tuple("abcde"), tuple(map(signature, images)))
    assert alike_sets(signatures).tolist() == [0, 1, 0, 1, 2]
    assert alike_sets(signatures, near=False).tolist() == [0, 1, 2, 1, 3]
