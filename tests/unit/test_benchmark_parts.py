"""The benchmark's own parts: the published form restated, the floor, the laws, and what is left out.

Seeds are fixed. A Kolmogorov distance above 1.95 / sqrt(n) has probability 1e-3 by chance; four are compared.
"""

import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks.sampling import cases, floor, large_n, laws, peer_process, report, run, sizes, targets
from benchmarks.sampling.machine import Rates
from benchmarks.sampling.published_form import PublishedMetric, PublishedWalk, exponential_map
from scipy import stats
from tests.metrics import random_metric

from riemaug import geometry
from riemaug.geometry import KernelMetric
from riemaug.samplers import MixtureSampler


def restated(metric: KernelMetric) -> PublishedMetric:
    kernels = metric.factors @ metric.factors.mT
    return PublishedMetric(metric.centroids, kernels, metric.bandwidth, metric.regularization)


def points_and_momenta(dim: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(7)
    point, momentum = torch.randn(2, 40, dim, generator=generator, dtype=torch.float64)
    return point, momentum


@pytest.mark.parametrize("dim", [1, 2, 5])
def test_the_restated_metric_is_ours(dim: int) -> None:
    metric, (point, momentum) = random_metric(dim, 9, seed=1), points_and_momenta(dim)
    plain = restated(metric)
    torch.testing.assert_close(plain.inverse_metric(point), metric.cometric_matrix(point))
    torch.testing.assert_close(plain.metric(point), metric.metric_matrix(point))
    torch.testing.assert_close(plain.root_det(point).log(), metric.log_density(point))
    position = point.clone().requires_grad_()
    energy = 0.5 * torch.einsum("bi,bij,bj->", momentum, metric.cometric_matrix(position), momentum)
    (gradient,) = torch.autograd.grad(energy, position)
    torch.testing.assert_close(plain.position_gradient(point, momentum), gradient)
    torch.testing.assert_close(plain.momentum_gradient(point, momentum), metric.velocity_of(point, momentum))


def gradients_of_energy(metric: KernelMetric, point: torch.Tensor, momentum: torch.Tensor):
    point, momentum = (value.detach().requires_grad_() for value in (point, momentum))
    energy = 0.5 * torch.einsum("bi,bij,bj->", momentum, metric.cometric_matrix(point), momentum)
    return torch.autograd.grad(energy, (point, momentum))


@pytest.mark.parametrize("dim", [2, 3])
def test_the_restated_path_is_algorithm_2(dim: int) -> None:
    metric, (point, velocity) = random_metric(dim, 6, seed=2), points_and_momenta(dim)
    velocity = 0.3 * velocity
    end = exponential_map(restated(metric), point, velocity, num_steps=4)
    position, momentum, step = point, metric.momentum_of(point, velocity), 0.25
    for _ in range(4):
        by_position, by_momentum = gradients_of_energy(metric, position, momentum)
        middle = (position + 0.5 * step * by_momentum, momentum - 0.5 * step * by_position)
        by_position, by_momentum = gradients_of_energy(metric, *middle)
        position, momentum = position + step * by_momentum, momentum - step * by_position
    torch.testing.assert_close(end, position)
    torch.testing.assert_close(end, geometry.exp(metric, velocity, point, num_steps=4).point)


def test_the_restated_step_is_algorithm_1() -> None:
    metric = random_metric(2, 6, seed=3)
    walk = PublishedWalk(restated(metric), variance=0.5, num_integration_steps=5)
    generator = torch.Generator().manual_seed(0)
    start = walk.start(400, generator)
    assert (torch.cdist(start, metric.centroids).amin(-1) == 0).all()
    twin = torch.Generator()
    twin.set_state(generator.get_state())
    end = walk.step(start, generator)
    noise = torch.randn(start.shape, generator=twin, dtype=torch.float64)
    uniform = torch.rand(len(start), generator=twin, dtype=torch.float64)
    proposal = geometry.exp(metric, math.sqrt(0.5) * noise, start, num_steps=5).point
    accepted = uniform.log() < metric.log_density(proposal) - metric.log_density(start)
    assert 0.1 < float(accepted.double().mean()) < 0.9
    torch.testing.assert_close(end, torch.where(accepted[:, None], proposal, start))


def test_a_metric_file_gives_the_metric_back(tmp_path: Path) -> None:
    metric = cases.random_metric(cases.CASES[0])
    torch.testing.assert_close(
        torch.linalg.det(metric.kernels.unflatten(1, (2, 2))), torch.full((120,), 0.03).double()
    )
    cases.save_metric(metric, tmp_path / "metric.npz")
    loaded = cases.load_metric(tmp_path / "metric.npz")
    point = torch.randn(5, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert torch.equal(loaded.log_density(point), metric.log_density(point))


@pytest.mark.parametrize(("dim", "flops"), [(1, 8), (2, 24), (10, 265)])
def test_flops_are_counted_by_hand(dim: int, flops: int) -> None:
    # d = 2: exponent 2 * 3, C 2 * 3, moments 2 * 6; d = 10: 22, 110, then 110 + 1 + 22 by quadratic forms
    assert floor.flops_per_kernel(dim) == flops


def test_the_floor_is_counts_over_rates() -> None:
    rates = {name: Rates(gemm=10e9, exp_torch=1e9, exp_numpy=2e9) for name in ("float32", "float64")}
    counted = floor.floor_as_json(cases.CASES[0], rates)
    assert counted["exponentials"] == 2.4e6
    assert counted["float64"]["seconds"] == pytest.approx(2.4e6 / 2e9 + 24 * 2.4e6 / 10e9)
    assert counted["float64"]["seconds_with_torch_exp"] == pytest.approx(2.4e6 / 1e9 + 24 * 2.4e6 / 10e9)
    assert counted["reference_seconds_scaled"] == pytest.approx(0.3 * 97 / 10)


def test_the_distance_is_that_of_scipy() -> None:
    generator = np.random.default_rng(0)
    values, draws = np.linspace(-4, 4, 4001), generator.normal(size=300)
    weights = stats.norm.pdf(values)
    marginal = laws.Marginal.of(torch.from_numpy(values), torch.from_numpy(weights / weights.sum()), math.inf)
    assert marginal.distance(draws) == pytest.approx(stats.kstest(draws, "norm").statistic, abs=1e-3)


@pytest.mark.parametrize("dim", [2, 3])
def test_exact_draws_agree_and_others_do_not(dim: int) -> None:
    metric = random_metric(dim, 6, seed=dim)
    truth = laws.reference_law(metric, num_importance=100_000, grid=301)
    points = MixtureSampler(metric).sample(4000, 0).points.numpy()
    assert laws.compare(metric, points, truth)["agrees"]
    shrunk = laws.compare(metric, 0.8 * points, truth)
    assert not shrunk["agrees"]
    assert shrunk["ks_first_coordinate"] > shrunk["noise_95"]
    astray = points.copy()
    astray[:100], astray[100:300] = np.nan, 50.0
    compared = laws.compare(metric, astray, truth)
    assert compared["share_outside_support"] == pytest.approx(300 / 4000)
    assert compared["num_draws"] == 3900
    assert compared["inside_support"]["num_draws"] == 3700
    assert not compared["agrees"]


def test_dependent_draws_count_for_less() -> None:
    noise = torch.randn(50, 2, 200, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert sizes.effective_draws(noise) > 8000
    assert sizes.effective_draws(noise.repeat_interleave(10, 0)) < 12000
    stuck = noise[:1] + 0.01 * noise
    assert sizes.effective_draws(stuck) < 500


def test_targets_are_judged_on_what_was_measured() -> None:
    results = {
        "floor": {
            "d=2": {
                "float64": {"seconds": 0.002},
                "float32": {"seconds": 0.001},
                "reference_seconds_scaled": 0.3,
            }
        },
        "walk": {"d=2": {"seconds_a_step": 0.004, "seconds_a_step_float32": 0.002}},
        "published": {"d=2": {"seconds_a_step": 0.2, "draws_per_second": 25.0}},
        "pythae": {"d=2": {"left_out": "no --peers-python given"}},
    }
    met = {target.name: target.is_met for target in targets.all_targets(results)}
    assert met == {
        "d=2: published form restated, over its reference time scaled": True,
        "d=2: steps a second in float64 over the published form's": False,
        "d=2: steps a second in float64 over the reference's, scaled": True,
        "d=2: steps a second over the published form's, both in float32": True,
        "d=2: time of a step over the floor, both in float64": True,
        "d=2: time of a step over the floor, both in float32": True,
    }
    assert targets.all_targets({}) == []


def measured_on_nothing() -> dict:
    machine = {"processor": "P", "cores": 2, "threads": 1, "memory_gb": 8, "load_average": 0.1, "python": "3"}
    about = machine | {"versions": {"torch": "2", "numba": None}}
    header = {"command": "python benchmarks/samplers.py", "date": "2026-01-02T03:04:05+00:00"}
    rows = [{"dim": 2, "num_centroids": 1_000, "failed": "not done within 1 s"}]
    return header | {"machine": about, "load_average_at_end": 0.2, "large-n": rows}


def test_tables_replace_those_of_the_page(tmp_path: Path) -> None:
    page, results = tmp_path / "speed.md", measured_on_nothing()
    page.write_text(f"before\n{report._BEGIN}\nold\n{report._END}\nafter\n")
    for _ in range(2):
        report.write_page(results, page)
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "old" not in text
    assert text.count("| 2 | 1,000 | not done within 1 s |") == 1
    assert "torch 2, Python 3." in text
    page.write_text("no marks")
    with pytest.raises(ValueError, match="must hold the lines"):
        report.write_page(results, page)


def test_the_page_shows_the_stored_results() -> None:
    root = Path(report.__file__).parents[2]
    stored = json.loads((root / "benchmarks" / "results" / "samplers.json").read_text())
    assert report.in_markdown(stored) in (root / "docs" / "speed.md").read_text()


def test_growth_is_not_met_by_a_run_that_failed() -> None:
    rows = [
        {"dim": 2, "num_centroids": 1_000, "microseconds_a_draw": 2.0},
        {"dim": 2, "num_centroids": 100_000, "failed": "not done within 1 s"},
        {"dim": 3, "num_centroids": 1_000, "microseconds_a_draw": 2.0},
        {"dim": 3, "num_centroids": 100_000, "microseconds_a_draw": 4.0},
    ]
    assert [target.is_met for target in targets.all_targets({"large-n": rows})] == [False, True]


@pytest.mark.parametrize("python", [None, Path("no-such-interpreter"), Path(sys.executable)])
def test_without_pythae_its_part_is_left_out(python: Path | None, tmp_path: Path) -> None:
    case = cases.CASES[0]
    cases.save_metric(cases.random_metric(case), tmp_path / "metric.npz")
    result = peer_process.measure_pythae(
        python, case, tmp_path / "metric.npz", tmp_path / "draws.npy", quick=True
    )
    assert set(result) == {"left_out"}
    assert ("pythae" if python == Path(sys.executable) else str(python or "--peers")) in result["left_out"]


def test_large_metrics_have_one_density() -> None:
    small, large = (large_n.dense_metric(num, 2) for num in (400, 1600))
    areas = [float((metric.centroids.amax(0) - metric.centroids.amin(0)).prod()) for metric in (small, large)]
    assert areas[1] / areas[0] == pytest.approx(4, rel=0.05)
    assert areas[0] / 400 == pytest.approx(small.bandwidth**2, rel=0.05)


def test_cost_at_one_size_is_measured() -> None:
    row = large_n.measure(300, 2, least_seconds=0.0)
    assert row["microseconds_a_draw"] > 0
    assert row["setup_seconds"] > 0
    assert row["peak_mb"]["draws"][-1]["peak"] >= row["peak_mb"]["before"] > 10
    json.dumps(row)


def test_stored_commands_name_no_private_folder() -> None:
    words = ["--quick", "--peers-python", "/home/me/peers/python", "--only", "machine"]
    arguments = run.parse_arguments(words, "Times.")
    command = run.command_line(arguments, words)
    assert command == ("python benchmarks/samplers.py --quick --peers-python PEERS/bin/python --only machine")


def test_unknown_parts_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run.parse_arguments(["--only", "speed"], "Times.")
    assert "no part speed" in capsys.readouterr().err
