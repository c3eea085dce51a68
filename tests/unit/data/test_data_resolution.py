"""How large pixels and voxels are: read from TIFF and PNG files, written back, and seen by Pillow's tags."""

import json
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.TiffImagePlugin import IFDRational
from tests.unit.data.data_files import noise

from riemaug.data import SampleFormat, include_real, read_dataset, write_class_files
from riemaug.data.nifti import upright_lengths
from riemaug.data.resolution import Resolution
from riemaug.errors import InvalidInputError

X, Y, UNIT, DESCRIPTION = 282, 283, 296, 270
INCH, CENTIMETRE = 2, 3
IMAGEJ = "ImageJ=1.53t\nimages=5\nslices=5\nunit=micron\nspacing=2.5\nloop=false\nmin=0.0\nmax=255.0\n"


def tags(x=(80000, 3), y=(40000, 3), unit=1, description: str | None = IMAGEJ):
    found = {X: IFDRational(*x), Y: IFDRational(*y), UNIT: unit}
    return found | ({} if description is None else {DESCRIPTION: description})


def save_tiffs(root, tags_of_each, shape=(5, 6, 7)):
    for index, own in enumerate(tags_of_each):
        path = root / "ab"[index % 2] / f"{index}.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        first, *others = [Image.fromarray(page) for page in noise(index, shape)]
        first.save(path, save_all=True, append_images=others, tiffinfo=own)
    return root


def tags_of(path):
    with Image.open(path) as image:
        return dict(getattr(image, "tag_v2", {})), image.info


def written_by(root) -> tuple[dict, dict, Any]:
    """Return tags and info of the first new file of the data set in `root`, and the data set."""
    data = read_dataset(root)
    fmt = SampleFormat.from_dict(json.loads(json.dumps(data.format.to_dict())))
    assert fmt == data.format
    samples = np.stack([data.samples[0]])
    if fmt.fit_shape is not None:
        samples = np.zeros((1, *fmt.shape), fmt.dtype)
    (name,) = write_class_files(root.parent / "out", "a", samples, fmt)
    return *tags_of(root.parent / "out" / name), data


def values_of(description):
    return dict(line.partition("=")[::2] for line in description.splitlines())


@pytest.mark.parametrize("unit", [1, INCH, CENTIMETRE])
@pytest.mark.parametrize("description", [IMAGEJ, None])
@pytest.mark.parametrize("pages", [5, 1])
def test_resolution_and_spacing_come_back(tmp_path, unit, description, pages):
    own = tags(unit=unit, description=description)
    found, _, data = written_by(save_tiffs(tmp_path / "data", [own] * 4, (pages, 6, 7)))
    assert data.format.kind == ("stacks" if pages > 1 else "folder")
    assert (found[X], found[Y], found[UNIT]) == (Fraction(80000, 3), Fraction(40000, 3), unit)
    assert not any("resolution" in note for note in data.notes)
    if description is None:
        assert DESCRIPTION not in found
        return
    assert found[DESCRIPTION].startswith("ImageJ=")
    values = values_of(found[DESCRIPTION])
    assert (values["unit"], float(values["spacing"])) == ("micron", 2.5)
    assert values["images"] == values["slices"] == str(pages)


def test_letters_that_tags_cannot_hold_are_escaped_as_java_does(tmp_path):
    micro = tags(description="ImageJ=1.53t\nunit=\\u00B5m\n")
    found, _, data = written_by(save_tiffs(tmp_path / "data", [micro] * 4))
    assert values_of(found[DESCRIPTION])["unit"] == "\\u00B5m"
    assert data.format.resolution.spacing is None


def test_dots_per_inch_of_png_come_back(tmp_path):
    for index in range(4):
        path = tmp_path / "data" / "ab"[index % 2] / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise(index, (6, 7))).save(path, dpi=(300, 150))
    _, info, _ = written_by(tmp_path / "data")
    assert info["dpi"] == tags_of(tmp_path / "data" / "a" / "0.png")[1]["dpi"]
    assert read_dataset(tmp_path / "data", resize=(3, 3)).format.resolution is None


def test_a_picture_on_its_side_is_turned_with_its_resolution(tmp_path):
    turned = tags(unit=INCH, description=None) | {274: 6}
    found, _, data = written_by(save_tiffs(tmp_path / "data", [turned] * 4, (1, 6, 7)))
    np.testing.assert_array_equal(data.samples[0], np.rot90(noise(0, (1, 6, 7))[0], -1))
    assert (found[X], found[Y]) == (Fraction(40000, 3), Fraction(80000, 3))


@pytest.mark.parametrize(
    ("others", "told"),
    [
        ({}, "The stacks state a resolution, 1 state none: new ones state none."),
        (tags(x=(1, 2)), "The stacks state 2 resolutions or voxel spacings: new ones state none."),
        (tags(description=None), "The stacks state 2 resolutions or voxel spacings: new ones state none."),
    ],
)
def test_files_that_differ_are_told_of_and_nothing_is_stated(tmp_path, others, told):
    found, _, data = written_by(save_tiffs(tmp_path / "data", [tags()] * 3 + [others]))
    assert told in data.notes
    assert not {X, Y, DESCRIPTION} & set(found)


def test_files_that_state_none_get_none(tmp_path):
    found, _, data = written_by(save_tiffs(tmp_path / "data", [{}] * 4))
    assert data.format.resolution is None
    assert "resolution" not in data.format.to_dict()
    assert not {X, Y, UNIT, DESCRIPTION} & set(found)


@pytest.mark.parametrize(
    "own",
    [
        tags(x=(0, 1), description=None),
        tags(y=(1, 0), description=None),
        tags(description="ImageJ=1\nunit=micron\nspacing=-2\n") | {X: IFDRational(0, 1)},
        tags(description="ImageJ=1\nunit=" + "m" * 100 + "\nspacing=nan\n") | {X: IFDRational(0, 1)},
        tags(description="scanned by J. Doe\nunit=mm\nspacing=2\n") | {X: IFDRational(0, 1)},
    ],
)
def test_numbers_that_are_none_and_other_texts_are_left_out(tmp_path, own):
    _, _, data = written_by(save_tiffs(tmp_path / "data", [own] * 4))
    resolution = data.format.resolution
    assert resolution is None or resolution == Resolution((1, 1), (1, 1), 1, "micron", None)


def test_what_is_modelled_is_known_without_it(tmp_path):
    plain = read_dataset(save_tiffs(tmp_path / "plain", [{}] * 4), fit_shape=(2, 3, 3))
    stated = read_dataset(save_tiffs(tmp_path / "stated", [tags()] * 4), fit_shape=(2, 3, 3))
    assert stated.format == replace(plain.format, resolution=stated.format.resolution)
    assert stated.fingerprint() == plain.fingerprint()


def test_pictures_that_were_changed_at_reading_keep_it_beside_new_ones(tmp_path):
    turned = tags(unit=INCH, description=None) | {274: 3}
    data = read_dataset(save_tiffs(tmp_path / "data", [turned] * 4, (1, 6, 7)))
    names = include_real(tmp_path / "data", data, tmp_path / "out", "copy")
    found, _ = tags_of(tmp_path / "out" / names[0])
    assert (found[X], found.get(274, 1)) == (Fraction(80000, 3), 1)


def test_stacks_are_shown_as_long_as_they_are(tmp_path):
    _, _, data = written_by(save_tiffs(tmp_path / "data", [tags(x=(2, 1), y=(4, 1))] * 4))
    assert upright_lengths(data.format) == (5 * 2.5, 6 / 4, 7 / 2)
    flat = replace(data.format.resolution, spacing=1e9)
    assert upright_lengths(replace(data.format, resolution=flat)) == (5, 6, 7)


@pytest.mark.parametrize(
    "change",
    [
        {"x": [0, 1]},
        {"y": [1, 2**32]},
        {"x": [1.5, 2]},
        {"x": "12"},
        {"unit": 4},
        {"unit": True},
        {"length_unit": "mm\nspacing=9"},
        {"length_unit": "µm"},
        {"length_unit": "m" * 33},
        {"spacing": -1.0},
        {"spacing": float("inf")},
        {"spacing": "2"},
        {"other": 1},
    ],
)
def test_models_of_others_cannot_write_other_tags(tmp_path, change):
    fields = read_dataset(save_tiffs(tmp_path, [tags()] * 4)).format.to_dict()
    with pytest.raises(InvalidInputError, match="resolution"):
        SampleFormat.from_dict(fields | {"resolution": fields["resolution"] | change})
