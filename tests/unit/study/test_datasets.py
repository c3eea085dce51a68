"""The study's image sets: every published form reads the same, draws keep their rule, nothing overlaps."""

import os
from pathlib import Path

import numpy as np
import pytest
from study_files import images, labelled, write_emnist, write_idx, write_mnist_like

from riemaug.data import check_no_leak
from riemaug.data.likeness import Signatures, signature
from riemaug.errors import InvalidInputError
from riemaug.evaluation.samples import LabelledSamples
from riemaug.random import Stream
from riemaug.study import drawing
from riemaug.study.committed import committed
from riemaug.study.datasets import DATA_SETS, StudyData, drawn_by_rule, load_study_data, source_of
from riemaug.study.drawing import committed_draw, draw_images, geometric_counts
from riemaug.study.sources import (
    EMNIST_LETTERS,
    ImageSource,
    digests,
    read_emnist,
    read_fashion,
    read_idx,
    read_mnist,
)

DATA = os.environ.get("RIEMAUG_DATA")
needs_data = pytest.mark.skipif(DATA is None, reason="needs RIEMAUG_DATA, the folder of the public data sets")
IMAGE_SETS = [name for name in DATA_SETS if not name.startswith("oasis")]


def source_with(train: np.ndarray, labels: np.ndarray, test: np.ndarray) -> ImageSource:
    rows = np.arange(len(labels))
    names = tuple(str(label) for label in range(int(labels.max()) + 1))
    return ImageSource(train, labels.astype(np.int64), rows, rows, test, np.zeros(len(test), np.int64), names)


@pytest.mark.parametrize("form", ["npz", "idx", "idx.gz", "folders"])
def test_mnist_reads_the_same_from_every_form(tmp_path: Path, form: str) -> None:
    arrays = write_mnist_like(tmp_path, form)
    source = read_mnist(tmp_path)
    np.testing.assert_array_equal(source.train_images, arrays["train_images"])
    np.testing.assert_array_equal(source.train_labels, arrays["train_labels"])
    np.testing.assert_array_equal(source.test_images, arrays["test_images"])
    np.testing.assert_array_equal(source.test_labels, arrays["test_labels"])
    np.testing.assert_array_equal(source.train_rows, np.arange(30))


def test_torchvisions_folders_are_read(tmp_path: Path) -> None:
    write_mnist_like(tmp_path, "idx")
    (tmp_path / "MNIST").mkdir()
    (tmp_path / "mnist").rename(tmp_path / "MNIST" / "raw")
    assert len(read_mnist(tmp_path).train_labels) == 30


def test_fashion_rows_are_those_of_the_whole_set(tmp_path: Path) -> None:
    write_mnist_like(tmp_path / "npz", "npz", "fashion_mnist")
    write_mnist_like(tmp_path / "idx", "idx.gz", "fashion_mnist")
    np.testing.assert_array_equal(read_fashion(tmp_path / "npz").train_rows, 100 + 2 * np.arange(30))
    np.testing.assert_array_equal(read_fashion(tmp_path / "idx").train_rows, np.arange(30))


def test_mnist_is_not_taken_for_fashion(tmp_path: Path) -> None:
    write_mnist_like(tmp_path, "idx")
    with pytest.raises(InvalidInputError, match="fashion needs one of"):
        read_fashion(tmp_path)


@pytest.mark.parametrize("form", ["npz", "mat", "idx", "idx.gz"])
def test_emnist_has_the_letters_upright(tmp_path: Path, form: str) -> None:
    train, test = (write_emnist(tmp_path, form)[part] for part in ("letters-train", "letters-test"))
    numbers = [ord(letter) - ord("A") + 1 for letter in EMNIST_LETTERS]
    source = read_emnist(tmp_path)
    for label, number in enumerate(numbers):
        own = train[0][train[1] == number]
        np.testing.assert_array_equal(source.train_images[source.train_labels == label][: len(own)], own)
        np.testing.assert_array_equal(
            source.test_images[source.test_labels == label], test[0][test[1] == number]
        )


@pytest.mark.parametrize("form", ["mat", "idx"])
def test_byclass_adds_both_cases_of_a_letter(tmp_path: Path, form: str) -> None:
    pixels, labels = write_emnist(tmp_path / "both", form)["byclass-test"]
    write_emnist(tmp_path / "letters", form, byclass=False)
    both, letters = read_emnist(tmp_path / "both"), read_emnist(tmp_path / "letters")
    assert len(both.train_labels) == len(letters.train_labels) + 2 * len(EMNIST_LETTERS)
    added = both.train_images[len(letters.train_labels) :]
    for case in (10, 36):
        wanted = pixels[labels == case + ord("Q") - ord("A")]
        label = EMNIST_LETTERS.index("Q")
        of_label = added[both.train_labels[len(letters.train_labels) :] == label]
        assert (of_label == wanted).all((1, 2)).any()


def test_keys_of_emnist_do_not_depend_on_the_form(tmp_path: Path) -> None:
    for form in ("npz", "mat", "idx"):
        write_emnist(tmp_path / form, form)
    keys = [set(read_emnist(tmp_path / form).keys.tolist()) for form in ("npz", "mat", "idx")]
    assert keys[0] < keys[1] == keys[2]


@pytest.mark.parametrize(
    ("read", "name", "files"),
    [
        (read_mnist, "mnist", ("mnist.npz", "train-images-idx3-ubyte[.gz]", "mnist/")),
        (read_fashion, "fashion", ("fashion_mnist.npz", "t10k-labels-idx1-ubyte[.gz]")),
        (read_emnist, "emnist", ("emnist_letters_test_full.npz", "emnist-byclass.mat", "emnist/")),
    ],
)
def test_an_absent_set_is_told_in_one_line(tmp_path: Path, read, name: str, files: tuple[str, ...]) -> None:
    with pytest.raises(InvalidInputError) as caught:
        read(tmp_path)
    message = str(caught.value)
    assert "\n" not in message
    assert f"riemaug study download {name}" in message
    for file in files:
        assert file in message


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda raw: raw[:-1], "bytes follow its head"),
        (lambda raw: b"PK" + raw[2:], "is no idx file"),
        (lambda raw: raw[:6], "bytes follow its head"),
        (lambda raw: b"", "is no idx file"),
    ],
)
def test_a_broken_idx_file_is_told(tmp_path: Path, damage, told: str) -> None:
    path = write_idx(tmp_path / "images", images(2))
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InvalidInputError, match=told):
        read_idx(path)


def test_a_cut_gzip_file_is_told(tmp_path: Path) -> None:
    path = write_idx(tmp_path / "images.gz", images(2), compress=True)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InvalidInputError, match="cannot be read"):
        read_idx(path)


def test_images_without_their_rows_as_names_are_refused(tmp_path: Path) -> None:
    write_mnist_like(tmp_path, "folders")
    first = next((tmp_path / "mnist" / "train" / "3").iterdir())
    first.rename(first.with_name("three.png"))
    with pytest.raises(InvalidInputError, match=r"three\.png: rename"):
        read_mnist(tmp_path)


def test_other_matlab_and_npz_files_are_told(tmp_path: Path) -> None:
    np.savez(tmp_path / "mnist.npz", images=images(2))
    with pytest.raises(InvalidInputError, match="train_images"):
        read_mnist(tmp_path)
    (tmp_path / "emnist-letters.mat").write_bytes(b"no Matlab file" * 20)
    with pytest.raises(InvalidInputError, match="Matlab"):
        read_emnist(tmp_path)


def test_geometric_counts_are_multiples_of_five_that_add_up() -> None:
    for ratio in (0.5, 0.7, 0.9, 1.0):
        counts = geometric_counts(ratio, 10, 500, Stream(0, ("order",)))
        assert sum(counts) == 500
        assert all(count % 5 == 0 and count >= 5 for count in counts)
    assert geometric_counts(1.0, 10, 500, Stream(0)) == (50,) * 10
    falling = sorted(geometric_counts(0.7, 10, 500, Stream(0)), reverse=True)
    # 150 / (1 + 0.7 + ... + 0.7^9) of 500, in steps of 5
    assert falling[0] == 155
    assert falling[1] in (105, 110)


def test_a_draw_is_stratified_and_without_overlap() -> None:
    train, labels = labelled(3, 1, per_class=60)
    source = source_with(train, labels, images(50, 9))
    drawn = draw_images(source, (50, 10, 5), Stream(0))
    assert np.bincount(labels[drawn.train]).tolist() == [40, 8, 4]
    assert np.bincount(labels[drawn.validation]).tolist() == [10, 2, 1]
    assert not np.intersect1d(drawn.train, drawn.validation).size
    again, other = draw_images(source, (50, 10, 5), Stream(0)), draw_images(source, (50, 10, 5), Stream(1))
    np.testing.assert_array_equal(drawn.train, again.train)
    assert not np.array_equal(drawn.train, other.train)


def test_a_draw_passes_over_copies_of_test_images_and_of_itself() -> None:
    train, labels = labelled(2, 1, per_class=12)
    test = images(30, 9)
    rows = np.flatnonzero(labels == 0)
    # seven of twelve are unfit: brighter copies of test images, and one image three times
    for row in rows[:5]:
        train[row] = np.round(200.0 / 255 * test[row] + 20)
    train[rows[6:8]] = train[rows[5]]
    drawn = draw_images(source_with(train, labels, test), (5, 5), Stream(3))
    chosen = np.concatenate([drawn.train, drawn.validation])
    own = chosen[labels[chosen] == 0]
    assert len(own) == 5
    assert set(own) <= {*rows[5:].tolist()}
    assert len({train[row].tobytes() for row in own}) == 5


def test_a_draw_from_too_few_images_is_told() -> None:
    train, labels = labelled(2, 1, per_class=4)
    with pytest.raises(InvalidInputError, match="takes 5 different training images of class '0'"):
        draw_images(source_with(train, labels, images(3, 9)), (5, 5), Stream(0))


def test_a_committed_draw_is_found_by_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write_emnist(tmp_path, "mat")
    source = read_emnist(tmp_path)
    keys = source.keys
    file = {"draws": {"0": {"train": keys[[7, 2]].tolist(), "validation": keys[[4]].tolist()}}}
    monkeypatch.setattr(drawing, "committed", lambda name: file)
    drawn = committed_draw("emnist_unbalanced", 0, source)
    assert drawn.train.tolist() == [2, 7]
    assert drawn.validation.tolist() == [4]
    file["draws"]["0"]["train"].append("0" * 16)
    with pytest.raises(InvalidInputError, match="takes 4 training images, 1 of them are not in the files"):
        committed_draw("emnist_unbalanced", 0, source)


def test_digests_tell_images_by_their_pixels() -> None:
    some = images(3)
    assert len(set(digests(some))) == 3
    assert digests(some)[1] == digests(np.ascontiguousarray(some[1:2]))[0]
    assert digests(some.transpose(0, 2, 1))[0] != digests(some)[0]


@pytest.mark.parametrize(
    ("name", "draw", "told"), [("mnist", 0, "mnist_balanced"), ("mnist_balanced", -1, "from 0")]
)
def test_unknown_names_and_draws_are_told(tmp_path: Path, name: str, draw: int, told: str) -> None:
    with pytest.raises(InvalidInputError, match=told):
        load_study_data(name, draw, tmp_path)


def part_signatures(part: LabelledSamples) -> Signatures:
    return Signatures(tuple(map(str, range(len(part)))), tuple(map(signature, part.samples)))


def check_parts(data: StudyData) -> None:
    assert not np.intersect1d(data.train_rows, data.validation_rows).size
    train, validation, test = (part_signatures(part) for part in (data.train, data.validation, data.test))
    check_no_leak(train, test)
    check_no_leak(validation, test)
    check_no_leak(train, validation)


@pytest.mark.slow
@needs_data
@pytest.mark.parametrize("name", IMAGE_SETS)
def test_committed_draws_of_the_real_data(name: str) -> None:
    data = load_study_data(name, 3, Path(str(DATA)))
    num = len(data.class_names)
    counts = np.array(data.train.counts(num)) + data.validation.counts(num)
    wanted = [50] * 10 if name.endswith("_balanced") else committed("shares")[name]["counts"]
    assert counts.tolist() == wanted
    assert (len(data.train), len(data.validation)) == (400, 100)
    assert len(data.test) == (8000 if name.startswith("emnist") else 10_000)
    assert data.train.samples.min() == 0
    assert data.train.samples.max() == 1
    check_parts(data)


@needs_data
@pytest.mark.parametrize("name", IMAGE_SETS)
def test_committed_draws_are_those_of_the_rule(name: str) -> None:
    source = source_of(name, Path(str(DATA)))
    by_rule, kept = drawn_by_rule(name, 9, source), committed_draw(name, 9, source)
    np.testing.assert_array_equal(by_rule.train, kept.train)
    np.testing.assert_array_equal(by_rule.validation, kept.validation)


@pytest.mark.slow
@needs_data
def test_uncommitted_draws_follow_the_rule() -> None:
    data = load_study_data("fashion_balanced", 11, Path(str(DATA)))
    assert data.train.counts(10) == (40,) * 10
    check_parts(data)
