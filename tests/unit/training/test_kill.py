"""A training that is really killed, at random epochs, ends with the same bits after all."""

from pathlib import Path

import pytest
from benchmarks import kill_fit


@pytest.mark.slow
@pytest.mark.parametrize("option", kill_fit.OPTIONS)
def test_a_killed_training_resumes_to_the_same_bits(option: str, tmp_path: Path) -> None:
    num_points = 3 if option == next(iter(kill_fit.OPTIONS)) else 1
    points = kill_fit.check(option, num_points, 1, tmp_path)
    assert [point.is_same for point in points] == [True] * num_points
    for point in points:
        # it did go on from a checkpoint, and not from one later than the kill
        assert 0 < point.resumed_at <= point.killed_at < kill_fit.EPOCHS
