"""The sweep's own parts: it goes on after a stop, and counts what it must."""

import json
import math
from pathlib import Path

import pytest
import torch
from benchmarks import fit_sweep

from riemaug.errors import TrainingError
from riemaug.models import RHVAE
from riemaug.training import Trainer


@pytest.fixture
def digits(monkeypatch: pytest.MonkeyPatch) -> list[fit_sweep.Fit]:
    monkeypatch.setattr(fit_sweep, "EPOCHS", {200: 2, 4: 1})
    return [fit for fit in fit_sweep.all_fits(2, Path("unused")) if fit.data == "digits"][:4]


def test_the_whole_sweep_is_300_fits_of_all_kinds() -> None:
    fits = fit_sweep.all_fits(10, Path("unused"))
    assert len(fits) == len({fit.key for fit in fits}) == 300
    assert {fit.data for fit in fits[:30]} == set(fit_sweep.SETS)
    assert max(fit_sweep.EPOCHS.values()) <= 150


def test_samples_and_class_change_with_the_seed(digits) -> None:
    fit = digits[0]
    first, again = fit_sweep.class_rows(fit), fit_sweep.class_rows(fit)
    assert first.shape == (40, 64)
    assert torch.equal(first, again)
    other = fit_sweep.class_rows(fit_sweep.Fit("digits", 1, 200, 1e-3, "unused"))
    assert not torch.equal(first, other)


def test_a_stopped_sweep_goes_on(digits, tmp_path: Path) -> None:
    lines, told = tmp_path / "sweep.lines", []
    first = fit_sweep.run_sweep(digits[:2], lines, 1, lambda row, left: told.append(row["key"]))
    # the line that was being written when the process was killed
    lines.write_text(lines.read_text() + '{"key": "digits 0 4')
    rows = fit_sweep.run_sweep(digits, lines, 1, lambda row, left: told.append(row["key"]))
    assert told == [fit.key for fit in digits]
    assert rows[:2] == first
    assert [row["key"] for row in rows] == told
    again = fit_sweep.run_sweep(digits, lines, 1, lambda row, left: told.append(row["key"]))
    assert again == rows
    assert len(told) == 4


def test_a_good_fit_counts_as_one(digits) -> None:
    row = fit_sweep.run_fit(digits[0])
    assert (row["not_finite"], row["error"], row["rollbacks"], row["epochs"]) == (0, "", 0, 2)
    assert 0 <= row["failed_share"] < 0.1
    json.dumps(row, allow_nan=False)


def test_numbers_that_are_not_finite_are_counted(digits, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = Trainer.fit

    def spoilt(self: Trainer):
        history = plain(self)
        assert isinstance(self.model, RHVAE)
        with torch.no_grad():
            self.model.decoder.logits.bias[:3] = math.nan
        return history

    monkeypatch.setattr(Trainer, "fit", spoilt)
    row = fit_sweep.run_fit(digits[0])
    # three biases, and three pixels of each of the 40 reconstructions
    assert row["not_finite"] == 3 + 3 * 40


def test_a_fit_that_ends_in_an_error_is_counted(digits, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Trainer):
        raise TrainingError("no\nway")

    monkeypatch.setattr(Trainer, "fit", fail)
    row = fit_sweep.run_fit(digits[0])
    assert row["error"] == "TrainingError: no way"
    assert not fit_sweep.has_grown(row)


def test_the_table_has_the_counts_and_the_page_gets_it(tmp_path: Path) -> None:
    def row(rate: float, **changes: object) -> dict:
        plain = {"data": "digits", "batch_size": 4, "data_dim": 64, "learning_rate": rate, "not_finite": 0}
        more = {"error": "", "rollbacks": 0, "failed_share": 0.01, "first_elbo": -9.0, "final_elbo": -5.0}
        return plain | more | changes

    rows = [row(1e-4, not_finite=2), row(1e-3, rollbacks=3), row(1e-2, final_elbo=-10.0, rollbacks=1)]
    rows.append(row(1e-2, error="TrainingError: x", final_elbo=None, first_elbo=None))
    expected = ("4", "1", "1", "0, 3, 1", "2", "-1.0", "1 %")
    assert fit_sweep.table(rows)[1:] == [("digits", "64", "4", *expected), ("all", "", "", *expected)]
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- sweep: written by benchmarks/fit_sweep.py --docs, do not edit -->\nold\n")
    with pytest.raises(ValueError, match="must hold the lines"):
        fit_sweep.write_page("new", page)
    page.write_text(page.read_text() + "<!-- end of sweep -->\nafter\n")
    fit_sweep.write_page(fit_sweep.in_markdown(rows, "the command"), page)
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "old" not in text
    assert "`the command`: 4 fits" in text
    assert "| digits | 64 | 4 | 4 | 1 | 1 | 0, 3, 1 | 2 | -1.0 | 1 % |" in text
