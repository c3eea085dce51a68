"""Volumes of different grids brought to one, compared with nibabel's own resampling."""

import nibabel
import nibabel.affines
import nibabel.processing
import numpy as np
import pytest
from data_files import refused
from volume_files import AFFINE, SHAPE, blob, save_volume, stored, volume_folder

from riemaug.data import include_real, read_dataset
from riemaug.data.regridding import onto_grid
from riemaug.errors import InvalidInputError

TURNED = np.array([[0.0, 1.8, 0.3, -12], [-2.1, 0, 0, 10], [0, 0.2, 2.2, -10], [0, 0, 0, 1]])
HALVED = np.diag([0.5, 0.5, 0.5, 1])


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32", "float64"])
def test_the_same_as_nibabels(dtype):
    voxels = (blob(1, (12, 10, 11)).astype(dtype) - 30 * (dtype != "uint8")).astype(dtype)
    sides, fine = tuple(2 * side for side in SHAPE), AFFINE @ HALVED
    ours = onto_grid(voxels, TURNED, sides, fine)
    source = nibabel.Nifti1Image(voxels.astype(np.float64), TURNED)
    theirs = nibabel.processing.resample_from_to(source, (sides, fine), order=1, cval=float(voxels.min()))
    # between the outermost centres and the border of their voxels nibabel has nothing to interpolate with
    places = np.stack(np.meshgrid(*map(np.arange, sides), indexing="ij")).reshape(3, -1)
    indices = nibabel.affines.apply_affine(np.linalg.inv(TURNED) @ fine, places.T)
    between = ((indices >= 0) & (indices <= np.array(voxels.shape) - 1)).all(1).reshape(sides)
    assert (ours.dtype, ours.shape) == (dtype, sides)
    tolerance = 1e-4 if voxels.dtype.kind == "f" else 0.51
    np.testing.assert_allclose(ours[between], theirs.get_fdata()[between], atol=tolerance)
    assert len(np.unique(ours[between])) > 20


def test_the_outermost_values_fill_the_space_of_their_voxels_and_no_more():
    voxels = np.full((3, 4, 5), 7, dtype="int16")
    voxels[1, 1, 1] = -9
    coarse, fine = np.diag([2.0, 2, 2, 1]), np.eye(4)
    fine[:3, 3] = -1.5  # beginning one voxel before the volume does
    moved = onto_grid(voxels, coarse, (8, 10, 12), fine)
    assert (moved[1:-1, 1:-1, 1:-1][[0, -1]] == 7).all()
    assert (moved[1:-1, 1:-1, 1:-1][:, [0, -1]] == 7).all()
    assert (moved[1:-1, 1:-1, 1:-1][:, :, [0, -1]] == 7).all()
    for axis in range(3):
        assert (moved.take([0, -1], axis) == -9).all()


def test_a_coarser_grid_gets_means():
    """Over a grid of twice the length a checkerboard is grey, and each voxel the mean of eight."""
    checkers = (np.indices((8, 8, 8)).sum(0) % 2).astype("float32")
    noise = np.random.default_rng(0).normal(size=(8, 8, 8))
    twice = np.diag([2.0, 2, 2, 1])
    twice[:3, 3] = 0.5
    np.testing.assert_allclose(onto_grid(checkers, np.eye(4), (4, 4, 4), twice), 0.5)
    means = noise.reshape(4, 2, 4, 2, 4, 2).mean((1, 3, 5))
    np.testing.assert_allclose(onto_grid(noise, np.eye(4), (4, 4, 4), twice), means)
    shifted = np.diag([2.0, 2, 2, 1])
    inner = onto_grid(checkers, np.eye(4), (4, 4, 4), shifted)[1:, 1:, 1:]
    np.testing.assert_allclose(inner, 0.5)


def test_overlap_is_of_space_not_of_values():
    voxels = blob(1)
    voxels[:4] = 3
    aside = AFFINE.copy()
    aside[:3, 3] += AFFINE[:3, 0] * 6  # the grid covers the even part of the volume only
    np.testing.assert_array_equal(onto_grid(voxels, aside, (9, 11, 8), AFFINE)[6:], 3)


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
    with pytest.raises(InvalidInputError, match="3e.03 times as long .* check the unit"):
        onto_grid(blob(1), np.diag([1e-3, 1e-3, 1e-3, 1]), SHAPE, AFFINE)


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


def test_what_is_smaller_than_the_grid_is_named(tmp_path):
    volume_folder(tmp_path)
    save_volume(tmp_path / "a" / "few.nii", blob(8, (9, 11, 2)))
    save_volume(tmp_path / "a" / "many.nii", blob(9, (9, 11, 20)))
    told = "2 volumes on other grids were resampled (linearly) to that of 'a/scan0.nii.gz'"
    smallest = ", the smallest, 'a/few.nii', from 9x11x2 to 9x11x8 voxels."
    assert told + smallest in read_dataset(tmp_path, resample=True).notes
    (tmp_path / "a" / "few.nii").unlink()
    (note,) = (note for note in read_dataset(tmp_path, resample=True).notes if "resampled" in note)
    assert note == told.replace("2 vol", "1 vol") + "."


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
