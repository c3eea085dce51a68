"""Volumes of different grids brought to one, compared with nibabel's own resampling."""

import nibabel
import nibabel.processing
import numpy as np
import pytest
from data_files import refused
from volume_files import AFFINE, SHAPE, blob, save_volume, stored, volume_folder

from riemaug.data import include_real, read_dataset
from riemaug.data.regridding import onto_grid
from riemaug.errors import InvalidInputError

TURNED = np.array([[0.0, 1.8, 0.3, -12], [-2.1, 0, 0, 10], [0, 0.2, 2.2, -10], [0, 0, 0, 1]])


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32", "float64"])
def test_the_same_as_nibabels(dtype):
    voxels = (blob(1, (12, 10, 11)).astype(dtype) - 30 * (dtype != "uint8")).astype(dtype)
    ours = onto_grid(voxels, TURNED, SHAPE, AFFINE)
    source = nibabel.Nifti1Image(voxels.astype(np.float64), TURNED)
    theirs = nibabel.processing.resample_from_to(source, (SHAPE, AFFINE), order=1, cval=float(voxels.min()))
    assert ours.dtype == dtype
    assert ours.shape == SHAPE
    np.testing.assert_allclose(ours, theirs.get_fdata(), atol=1e-4 if voxels.dtype.kind == "f" else 0.51)
    assert len(np.unique(ours)) > 20


def test_a_flipped_volume_comes_back_exactly():
    voxels = blob(2)
    flip = np.diag([-1.0, 1, 1, 1])
    flip[0, 3] = SHAPE[0] - 1
    np.testing.assert_array_equal(onto_grid(voxels[::-1], AFFINE @ flip, SHAPE, AFFINE), voxels)


def test_volumes_that_do_not_meet_and_flat_affines_are_refused():
    far = AFFINE.copy()
    far[:3, 3] += 1000
    with pytest.raises(InvalidInputError, match="does not overlap"):
        onto_grid(blob(1), far, SHAPE, AFFINE)
    with pytest.raises(InvalidInputError, match="flattens space"):
        onto_grid(blob(1), np.diag([1.0, 1, 0, 1]), SHAPE, AFFINE)


@pytest.fixture
def mixed(tmp_path):
    """Four volumes of one grid; two, first in order, of another."""
    volume_folder(tmp_path / "in", 2)
    for name in ("a/first.nii.gz", "b/first.nii.gz"):
        save_volume(tmp_path / "in" / name, blob(5 + (name[0] == "b"), (12, 10, 11)), affine=TURNED)
    return tmp_path / "in"


def test_the_grid_that_most_have_is_taken(mixed):
    refused(mixed, "one grid", "--resample")
    data = read_dataset(mixed, resample=True)
    assert data.samples.shape == (6, *SHAPE)
    assert any("2 volumes on other grids were resampled (linearly) to that of" in note for note in data.notes)
    np.testing.assert_array_equal(data.samples[0], onto_grid(blob(5, (12, 10, 11)), TURNED, SHAPE, AFFINE))
    np.testing.assert_array_equal(data.samples[1], blob(0))
    assert data.format.grid == read_dataset(volume_folder(mixed.parent / "plain")).format.grid
    small = read_dataset(mixed, resample=True, fit_shape=(4, 5, 4))
    assert (small.samples.shape, small.format.shape) == ((6, 4, 5, 4), SHAPE)


def test_one_grid_is_left_alone(tmp_path):
    volume_folder(tmp_path)
    plain, asked = read_dataset(tmp_path), read_dataset(tmp_path, resample=True)
    np.testing.assert_array_equal(plain.samples, asked.samples)
    assert plain.notes == asked.notes


@pytest.mark.parametrize("how", ["copy", "link"])
def test_real_volumes_are_included_on_the_common_grid(mixed, tmp_path, how):
    data = read_dataset(mixed, resample=True, fit_shape=(4, 5, 4))
    names = include_real(mixed, data, tmp_path / "out", how)
    whole = read_dataset(mixed, resample=True)
    for row, name in enumerate(names):
        image = nibabel.load(tmp_path / "out" / name)
        assert image.shape == SHAPE
        np.testing.assert_allclose(image.affine, AFFINE)
        np.testing.assert_array_equal(stored(tmp_path / "out" / name), whole.samples[row])
        assert (tmp_path / "out" / name).is_symlink() == (how == "link" and row not in (0, 3))
