"""Which files of a folder are read: patterns of those to include and of those to leave out."""

import numpy as np
import pytest
from data_files import noise, nth_image, refused, save_image
from test_data_bids import save_bids

from riemaug.data import read_dataset
from riemaug.data.file_choice import FileChoice
from riemaug.run.request import ReadOptions
from riemaug.run.split import SplitRequest, carry_out, plan_split


def note_of(data, text):
    return any(text in note for note in data.notes)


@pytest.fixture
def masked(tmp_path):
    """Give two classes of 4 scans, each beside its mask, which is a file of another kind."""
    for class_name in ("ill", "well"):
        for index in range(4):
            folder = tmp_path / "data" / class_name / f"s{index}"
            save_image(folder / f"s{index}.png", nth_image(class_name, index))
            np.save(folder / f"s{index}_mask.npy", noise(index))
    return tmp_path / "data"


@pytest.mark.parametrize(
    ("include", "exclude", "name", "taken"),
    [
        ((), (), "a/b.png", True),
        (("*.png",), (), "a/b.png", True),
        (("*.PNG",), (), "a/b.png", False),
        (("b.*",), (), "a/b.png", True),
        (("a*",), (), "a/b.png", False),
        (("a/*",), (), "a/x/b.png", True),
        (("*/x/*",), (), "a/x/b.png", True),
        (("x/*",), (), "a/x/b.png", False),
        (("*.tif", "*.png"), (), "a/b.png", True),
        (("*.png",), ("*_mask*",), "a/b_mask.png", False),
        ((), ("*_mask*",), "a_mask/b.png", True),
        ((), ("[ab].png", "?.gif"), "x/b.png", False),
    ],
)
def test_patterns_are_of_names_and_with_a_slash_of_paths(include, exclude, name, taken):
    assert FileChoice(include, exclude).takes(name) is taken


@pytest.mark.parametrize(
    "choice",
    [{"exclude": ["*_mask.npy"]}, {"include": ["s?.png"]}, {"include": ["*.png"], "exclude": ["x*"]}],
)
def test_masks_beside_scans_are_left_out(masked, choice):
    refused(masked, "a data set holds")
    data = read_dataset(masked, **choice)
    assert data.names == tuple(f"{kind}/s{i}/s{i}.png" for kind in ("ill", "well") for i in range(4))
    np.testing.assert_array_equal(data.samples[0], nth_image("ill", 0))
    assert note_of(data, "8 files were left out as asked: 'ill/s0/s0_mask.npy'")
    assert note_of(data, "--exclude 'x*' fits no sample") is ("x*" in choice.get("exclude", ()))


def test_masks_of_the_same_kind_are_told_of_with_what_leaves_them_out(masked):
    for index in range(4):
        save_image(masked / "ill" / f"case ({index})_Mask_1.png", noise(index))
    told = "4 of the 12 images are called like masks, such as 'ill/case (0)_Mask_1.png': if they are masks,"
    assert note_of(read_dataset(masked, exclude=["*.npy"]), f"{told} give --exclude '*_Mask*'.")
    data = read_dataset(masked, exclude=["*.npy", "*_Mask*"])
    assert len(data.samples) == 8
    assert not note_of(data, "like masks")


def test_a_class_is_left_out_as_a_whole_and_other_files_without_a_word(masked):
    (masked / "ill" / "notes.txt").write_text("x")
    (masked / "empty").mkdir()
    patterns = ["well/*", "*.npy", "notes.txt"]
    refused(masked, "the class folder 'empty' holds none", exclude=patterns)
    (masked / "empty").rmdir()
    data = read_dataset(masked, exclude=patterns)
    assert data.class_names == ("ill",)
    assert not note_of(data, "were ignored")


def test_nothing_left_is_refused_in_one_line(masked):
    refused(masked, "they leave none of 16, such as 'ill/s0/s0.png'", include=["*.tif"])


def test_rows_of_a_table_are_chosen_too(two_classes):
    rows = ("cat/a.png,x,p1", "cat/b.png,y,", "dog/a.png,x,p2", "dog/b.png,,")
    (two_classes / "metadata.csv").write_text("\n".join(["file_name,label,group", *rows]))
    data = read_dataset(two_classes, exclude=["b.png"])
    assert (data.names, data.groups) == (("cat/a.png", "dog/a.png"), ("p1", "p2"))
    assert note_of(data, "2 files were left out as asked: 'cat/b.png', 'dog/b.png'")
    assert note_of(data, "1 files that metadata.csv does not name were not read: 'cat/c.png'")


def test_volumes_of_bids_are_chosen_too(tmp_path):
    subjects = {f"sub-{number}": ("ill", "well")[number % 2] for number in range(6)}
    root = save_bids(tmp_path / "in", subjects, sessions=("ses-1", "ses-2"))
    data = read_dataset(root, include=["*/ses-1/*"], exclude=["sub-5/*"])
    assert data.groups == ("sub-0", "sub-1", "sub-2", "sub-3", "sub-4")
    assert note_of(data, "7 files were left out as asked")


def test_parts_hold_what_was_chosen(masked, tmp_path):
    request = SplitRequest(data=masked, out=tmp_path / "out", val=0, test=0.5, exclude=("*_mask.npy",))
    carry_out(plan_split(request))
    assert not list((tmp_path / "out").rglob("*.npy"))
    assert len(list((tmp_path / "out").rglob("*.png"))) == 8


def test_one_file_has_no_files_to_choose(tmp_path):
    np.savez(tmp_path / "x.npz", X=noise(0, (4, 6, 5)), y=np.array([0, 0, 1, 1]))
    refused(tmp_path / "x.npz", "--include and --exclude are for folders", include=["*"])
    assert ReadOptions().read(tmp_path / "x.npz").counts == (2, 2)
