"""The study's fitted generators: kept, gone on with after a stop, and made anew where they are damaged."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

import riemaug.run.fitting
from riemaug.baselines.deep import DeepGenerator
from riemaug.evaluation.samples import LabelledSamples
from riemaug.random import Stream
from riemaug.study import fits
from riemaug.study.datasets import StudyData


@pytest.fixture
def data() -> StudyData:
    flat, target = load_digits(return_X_y=True)
    rows = np.concatenate([np.flatnonzero(target == digit)[:5] for digit in (0, 1)])
    part = LabelledSamples((flat[rows] / 16).reshape(-1, 8, 8).astype(np.float32), target[rows])
    return StudyData("digits", 0, ("0", "1"), part, part, part, rows, rows)


class Fits:
    """Counts trainings, and stops one as Ctrl-C would."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.done, self.stop_at, self.real = 0, 0, riemaug.run.fitting.fit_model
        monkeypatch.setattr(riemaug.run.fitting, "fit_model", self)

    def __call__(self, *arguments: Any) -> Any:
        if self.done + 1 == self.stop_at:
            self.stop_at = 0
            raise KeyboardInterrupt
        self.done += 1
        return self.real(*arguments)


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> Fits:
    return Fits(monkeypatch)


@pytest.fixture
def kept(data: StudyData) -> Callable[[Path], np.ndarray]:
    """Returns samples of the generator in a folder, fitted if need be."""
    generator = DeepGenerator("vae", "prior", max_epochs=3)

    def draw(folder: Path) -> np.ndarray:
        fitted = fits._kept(folder, generator, data, Stream(0))
        return fitted.sample([3, 3], Stream(1)).samples

    return draw


def test_a_stopped_fit_goes_on(kept, trainings: Fits, tmp_path: Path) -> None:
    whole = kept(tmp_path / "whole")
    assert trainings.done == 2
    trainings.stop_at = 4
    with pytest.raises(KeyboardInterrupt):
        kept(tmp_path / "fit")
    assert [path.name for path in tmp_path.iterdir() if "fit" in path.name] == ["fit.unfinished"]
    trainings.done = 0
    np.testing.assert_array_equal(kept(tmp_path / "fit"), whole)
    assert trainings.done == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fit", "whole"]
    np.testing.assert_array_equal(kept(tmp_path / "fit"), whole)
    assert trainings.done == 1


def test_what_a_stopped_fit_left_is_not_used_if_it_is_damaged(kept, trainings: Fits, tmp_path: Path) -> None:
    trainings.stop_at = 2
    with pytest.raises(KeyboardInterrupt):
        kept(tmp_path / "fit")
    (tmp_path / "fit.unfinished" / ".riemaug" / "journal.json").write_text("{")
    assert kept(tmp_path / "fit").shape == (6, 8, 8)
    assert trainings.done == 3
    assert [path.name for path in tmp_path.iterdir()] == ["fit"]
