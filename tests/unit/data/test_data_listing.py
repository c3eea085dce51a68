"""Folders: layout, classes, what is ignored, what is refused."""

import os
import re
import unicodedata

import numpy as np
import pytest
from data_files import noise, nth_image, refused, save_image

from riemaug.data import read_dataset
from riemaug.limits import Limits


def test_class_folders_are_read_in_order(two_classes):
    data = read_dataset(two_classes)
    assert data.class_names == ("cat", "dog")
    assert data.counts == (3, 2)
    assert data.names == ("cat/a.png", "cat/b.png", "cat/c.png", "dog/a.png", "dog/b.png")
    np.testing.assert_array_equal(data.labels, [0, 0, 0, 1, 1])
    assert data.samples.dtype == np.uint8
    np.testing.assert_array_equal(data.samples[1], nth_image("cat", 1))
    assert data.of_class(1).shape == (2, 6, 5)
    assert data.groups is None
    assert data.notes == ()
    assert data.format.suffix == ".png"
    assert data.format.shape == (6, 5)


def test_subfolders_hidden_and_system_files(two_classes):
    save_image(two_classes / "cat" / "subject 1" / "deep" / "x.PNG", noise(50))
    save_image(two_classes / "cat" / ".hidden" / "x.png", noise(51))
    save_image(two_classes / "cat" / ".a.png", noise(52))
    save_image(two_classes / "__MACOSX" / "cat" / "a.png", noise(53))
    (two_classes / "cat" / "Thumbs.db").write_bytes(b"x")
    (two_classes / ".DS_Store").write_bytes(b"x")
    (two_classes / "cat" / "notes.txt").write_text("x")
    (two_classes / "README").write_text("x")
    save_image(two_classes / "stray.png", noise(54))
    data = read_dataset(two_classes)
    assert data.counts == (4, 2)
    assert "cat/subject 1/deep/x.PNG" in data.names
    assert any("2 files that are no images" in note and "notes.txt" in note for note in data.notes)
    assert any("1 files outside any class folder" in note and "stray.png" in note for note in data.notes)


def test_files_of_formats_that_are_not_read_are_told_of(two_classes):
    for name in ("cat/x.WEBP", "dog/y.heic", "dog/z.mgz", "dog/notes.txt"):
        (two_classes / name).write_bytes(b"x")
    notes = read_dataset(two_classes).notes
    assert any(note.startswith("3 files in formats that are not read (.heic, .mgz, .webp)") for note in notes)
    assert any(note == "1 files that are no images were ignored: 'dog/notes.txt'." for note in notes)
    (two_classes / "metadata.csv").write_text("file_name,label\ncat/a.png,x\ncat/x.WEBP,x\n")
    refused(two_classes, "'cat/x.WEBP' (.webp files are not read: convert it to png)")


@pytest.mark.parametrize("suffix", [".png", ".PNG", ".jpg", ".JPEG", ".tif", ".TIFF", ".bmp", ".gif"])
def test_suffixes_in_any_case(tmp_path, suffix):
    for index in range(3):
        save_image(tmp_path / "a" / f"{index}{suffix}", noise(index))
    data = read_dataset(tmp_path)
    assert data.samples.shape == (3, 6, 5)
    assert data.format.suffix == (".tiff" if suffix.lower().startswith(".tif") else ".png")


def test_class_names_with_spaces_dots_and_unicode(tmp_path, fill):
    names = ["v1.2 final", "Zürich", "正常", "a,b;'c\""]
    for name in names:
        fill(tmp_path / name)
    assert read_dataset(tmp_path).class_names == tuple(sorted(names))


def test_decomposed_names_give_the_same_class(tmp_path, fill):
    fill(tmp_path / unicodedata.normalize("NFD", "Zürich"))
    data = read_dataset(tmp_path)
    assert data.class_names == (unicodedata.normalize("NFC", "Zürich"),)
    assert (tmp_path / data.names[0]).exists()


def test_two_spellings_of_one_class_are_refused(tmp_path, fill):
    fill(tmp_path / unicodedata.normalize("NFD", "Zürich"))
    fill(tmp_path / unicodedata.normalize("NFC", "Zürich"))
    refused(tmp_path, "two Unicode spellings")


def test_classes_that_differ_in_case_are_noted(tmp_path, fill):
    fill(tmp_path / "Cat")
    fill(tmp_path / "cat")
    assert any("upper and lower case" in note for note in read_dataset(tmp_path).notes)


def test_name_that_is_not_utf8_is_refused(two_classes):
    os.rename(two_classes / "cat" / "a.png", os.fsencode(two_classes / "cat") + b"/\xff.png")
    refused(two_classes, "UTF-8", "rename")


@pytest.mark.parametrize("train", ["train", "Training", "TRAIN"])
def test_split_folders_are_refused_with_the_right_path(tmp_path, fill, train):
    for split in (train, "val", "test"):
        fill(tmp_path / split / "cat")
        fill(tmp_path / split / "dog")
    refused(tmp_path, f"give {str(tmp_path / train)!r}")
    assert read_dataset(tmp_path / train).class_names == ("cat", "dog")


def test_train_beside_another_folder_is_still_a_split(tmp_path, fill):
    fill(tmp_path / "train" / "cat")
    fill(tmp_path / "extra" / "cat")
    refused(tmp_path, f"give {str(tmp_path / 'train')!r}")


def test_a_class_called_test_with_subjects_is_a_class(tmp_path, fill):
    fill(tmp_path / "test" / "subject1")
    fill(tmp_path / "control" / "subject2")
    assert read_dataset(tmp_path).class_names == ("control", "test")


def test_split_folders_without_classes_are_refused(tmp_path, fill):
    fill(tmp_path / "train")
    fill(tmp_path / "test")
    refused(tmp_path, "split folders", "one sub-folder per class")


def test_flat_folder_is_refused(tmp_path, fill):
    fill(tmp_path / "flat", 3)
    refused(tmp_path / "flat", "one sub-folder per class", "3 images", "metadata.csv")


def test_empty_class_folder_is_refused(two_classes):
    (two_classes / "mouse").mkdir()
    refused(two_classes, "at least 2 images", "'mouse'")


def test_class_of_one_image_is_refused(two_classes):
    save_image(two_classes / "mouse" / "a.png", noise(9))
    refused(two_classes, "at least 2 images", "'mouse'", "add images")


def test_several_small_classes_are_told_in_the_plural(two_classes):
    for name in ("mouse", "owl"):
        save_image(two_classes / name / "a.png", noise(9))
    refused(two_classes, "'mouse', 'owl' have fewer: add images or leave them out")


def test_a_single_class_is_allowed(tmp_path, fill):
    fill(tmp_path / "cat")
    assert read_dataset(tmp_path).class_names == ("cat",)


def test_folders_without_images_say_what_they_hold(tmp_path):
    refused(tmp_path, "is empty")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.txt").write_text("x")
    refused(tmp_path, "no png", "1 of .txt")
    (tmp_path / "a" / "x.nrrd").write_bytes(b"x")
    refused(tmp_path, "a format that is not read", "NIfTI")
    np.savez(tmp_path / "arrays.npz", X=np.eye(4))
    refused(tmp_path, f"give {str(tmp_path / 'arrays.npz')!r}")


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("data.npy", "numpy.savez"),
        ("data.xlsx", "save it as CSV"),
        ("data.csv.gz", "unpack"),
        ("metadata.csv", "give its folder"),
        ("data.zip", "unpack"),
        ("data.pt", "give the folder"),
    ],
)
def test_other_files_are_refused(tmp_path, name, fix):
    (tmp_path / name).write_bytes(b"x")
    refused(tmp_path / name, "folder, an npz file or a table", fix)


@pytest.mark.parametrize("name", ["nowhere", "a\0b", "x" * 5000])
def test_missing_path_is_refused(tmp_path, name):
    refused(tmp_path / name, "does not exist")


def test_linked_files_and_circles_of_links(two_classes, tmp_path):
    outside = save_image(tmp_path / "elsewhere.png", noise(77))
    (two_classes / "cat" / "z.png").symlink_to(outside)
    (two_classes / "cat" / "loop").symlink_to(two_classes / "cat")
    (two_classes / "cat" / "up").symlink_to(two_classes)
    (two_classes / "cat" / "self").symlink_to(two_classes / "cat" / "self")
    data = read_dataset(two_classes)
    assert data.counts == (4, 2)
    np.testing.assert_array_equal(data.samples[3], noise(77))


@pytest.mark.parametrize("place", ["mouse", "cat/more"])
def test_linked_folder_outside_is_read_if_asked(two_classes, tmp_path, fill, place):
    fill(tmp_path / "far")
    (two_classes / place).symlink_to(tmp_path / "far")
    refused(two_classes, "must not lead out of the data folder", place, "--follow-links")
    assert len(read_dataset(two_classes, limits=Limits(follow_links=True)).samples) == 7


def test_a_linked_folder_inside_and_a_linked_data_folder_are_read(two_classes, tmp_path, fill):
    fill(two_classes / ".store")
    (two_classes / "mouse").symlink_to(two_classes / ".store")
    (tmp_path / "linked").symlink_to(two_classes)
    assert read_dataset(tmp_path / "linked").counts == (3, 2, 2)


def test_broken_link_is_named(two_classes):
    (two_classes / "cat" / "gone.png").symlink_to(two_classes / "nowhere.png")
    refused(two_classes, "'cat/gone.png'", "does not exist")


def test_pipe_does_not_hang(two_classes):
    os.mkfifo(two_classes / "cat" / "pipe.png")
    assert read_dataset(two_classes).counts == (3, 2)


def test_class_named_like_an_output_file_is_refused(two_classes, fill):
    fill(two_classes / "report.html")
    refused(two_classes, "'report.html'", "rename the class")


def test_duplicates_across_classes_are_noted(two_classes):
    save_image(two_classes / "dog" / "z.png", nth_image("cat", 0))
    notes = " ".join(read_dataset(two_classes).notes)
    assert re.search(
        r"1 samples occur in more than one class, such as 'cat/a.png' \(cat\) and 'dog/z.png'", notes
    )


def test_copies_within_a_class_and_constant_images_are_noted(two_classes):
    save_image(two_classes / "dog" / "z.png", nth_image("dog", 0))
    save_image(two_classes / "dog" / "flat.png", np.full((6, 5), 7, np.uint8))
    notes = " ".join(read_dataset(two_classes).notes)
    assert "1 images are exact copies of others, such as 'dog/z.png'" in notes
    assert "1 images hold one single value: 'dog/flat.png'" in notes


def test_class_of_identical_images_is_refused(two_classes):
    for name in "ab":
        save_image(two_classes / "mouse" / f"{name}.png", noise(3))
    refused(two_classes, "'mouse'", "identical")


def test_class_of_one_value_is_refused(two_classes):
    for name in "ab":
        save_image(two_classes / "mouse" / f"{name}.png", np.full((6, 5), 9, np.uint8))
    refused(two_classes, "'mouse'", "identical")


def test_data_set_of_one_value_is_refused(tmp_path):
    for name in "abcd":
        save_image(tmp_path / "ab"[ord(name) % 2] / f"{name}.png", np.full((6, 5), 9, np.uint8))
    refused(tmp_path, "one value 9")
