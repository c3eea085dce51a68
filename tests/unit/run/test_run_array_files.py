import numpy as np
import pytest

from riemaug.run.array_files import (
    BLOCK_ROWS,
    append_rows,
    join_array_files,
    set_row_count,
    start_array_file,
)


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64", "int16", "bool"])
@pytest.mark.parametrize("shape", [(3,), (2, 4), (2, 2, 3)])
def test_rows_in_blocks_make_the_file_that_numpy_makes(tmp_path, dtype, shape):
    rows = np.random.default_rng(0).integers(0, 2, (11, *shape)).astype(dtype)
    start_array_file(tmp_path / "blocks.npy", rows.shape, rows.dtype)
    for start in range(0, 11, 4):
        append_rows(tmp_path / "blocks.npy", rows[start : start + 4])
    np.save(tmp_path / "whole.npy", rows)
    assert (tmp_path / "blocks.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()


def test_rows_that_do_not_lie_side_by_side(tmp_path):
    rows = np.arange(24, dtype=np.int64).reshape(4, 6)[:, ::2]
    start_array_file(tmp_path / "a.npy", rows.shape, rows.dtype)
    append_rows(tmp_path / "a.npy", rows)
    assert np.array_equal(np.load(tmp_path / "a.npy"), rows)


def test_a_file_begun_again_forgets_what_it_held(tmp_path):
    for count in (5, 2):
        start_array_file(tmp_path / "a.npy", (count, 3), np.dtype("float32"))
        append_rows(tmp_path / "a.npy", np.full((count, 3), count, np.float32))
    assert np.load(tmp_path / "a.npy").tolist() == [[2.0] * 3] * 2


@pytest.mark.parametrize("count", [0, 3, 99])
def test_a_file_of_fewer_rows_than_announced_is_the_one_that_numpy_makes(tmp_path, count):
    rows = np.arange(2.0 * count, dtype=np.float32).reshape(count, 2)
    start_array_file(tmp_path / "a.npy", (123_456_789, 2), rows.dtype)
    append_rows(tmp_path / "a.npy", rows)
    set_row_count(tmp_path / "a.npy", rows.shape, rows.dtype)
    np.save(tmp_path / "whole.npy", rows)
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()


def test_files_are_joined_in_order_also_empty_and_long_ones(tmp_path):
    lengths = [3, 0, BLOCK_ROWS + 5, 1]
    parts = []
    for number, length in enumerate(lengths):
        parts.append(tmp_path / f"{number}.npy")
        start_array_file(parts[-1], (length, 2), np.dtype("uint16"))
        append_rows(parts[-1], np.full((length, 2), number, np.uint16))
    assert join_array_files(parts, tmp_path / "all.npy") == lengths
    joined = np.load(tmp_path / "all.npy")
    assert joined.dtype == np.uint16
    assert np.array_equal(joined[:, 0], np.repeat([0, 1, 2, 3], lengths))


def test_a_full_disk_is_an_error_of_the_operating_system(tmp_path):
    (tmp_path / "full.npy").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        append_rows(tmp_path / "full.npy", np.zeros((1000, 1000), np.uint8))
