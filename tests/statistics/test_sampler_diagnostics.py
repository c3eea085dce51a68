"""Diagnostics tell chains and weights that can be trusted from those that cannot."""

import math

import pytest
import torch

from riemaug.samplers.diagnostics import effective_fraction, pareto_shape, summarize_chains


def test_chains_that_remember_their_start_are_told_from_those_that_do_not() -> None:
    generator = torch.Generator().manual_seed(0)
    starts = torch.randn(128, 2, generator=generator, dtype=torch.float64)
    noise = torch.randn(100, 1, 128, generator=generator, dtype=torch.float64)
    good = summarize_chains(noise, starts)
    stuck = summarize_chains(noise + 2 * starts[:, int(starts.std(0).argmax())], starts)
    drifting = summarize_chains(noise + torch.linspace(0, 1, 100).double()[:, None, None], starts)
    assert good is not None
    assert stuck is not None
    assert drifting is not None
    assert good.has_converged
    assert not stuck.has_converged
    assert stuck.rhat > 1.5
    assert drifting.drift > 10
    assert not drifting.has_converged
    assert summarize_chains(noise[:4], starts) is None


def test_chains_that_hardly_move_have_not_converged() -> None:
    # each begins in the law and keeps to a tenth of it: neither R-hat nor the drift can tell
    generator = torch.Generator().manual_seed(1)
    noise = torch.randn(100, 1, 256, generator=generator, dtype=torch.float64)
    level = torch.randn(256, generator=generator, dtype=torch.float64)
    starts = torch.randn(256, 2, generator=generator, dtype=torch.float64)
    summary = summarize_chains(level + 0.1 * noise, starts)
    assert summary is not None
    assert summary.rhat < 1.1
    assert summary.ess_per_chain < 1.75
    assert not summary.has_converged


@pytest.mark.parametrize("shape", [0.3, 0.5, 1.0])
def test_pareto_shape_is_that_of_the_weights(shape: float) -> None:
    # the estimate's own error at 20,000 draws is near 0.05
    uniform = torch.rand(20000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert pareto_shape(-shape * uniform.log()) == pytest.approx(shape, abs=0.2)
    assert pareto_shape(torch.zeros(1000, dtype=torch.float64)) == -math.inf
    assert pareto_shape(torch.full((1000,), -math.inf)) == math.inf


def test_effective_fraction_counts_equal_weights() -> None:
    log_weights = torch.tensor([0.0, 0.0, -math.inf, -math.inf])
    assert effective_fraction(log_weights) == pytest.approx(0.5)
    assert effective_fraction(log_weights[2:]) == 0.0
