"""The parts of `benchmarks/training_speed.py` that can be wrong without a long run: counts, targets, page."""

from pathlib import Path

import pytest
import torch
from benchmarks import training_speed
from benchmarks.training import floor, ours


def stored(ratio: float) -> dict:
    row = {
        "step_seconds": 0.01,
        "epoch_seconds": 0.012,
        "products": 28,
        "floor_seconds": {"torch.mm": 0.007, "package": 0.004},
        "over_floor": {"torch.mm": 1.4, "package": 2.5},
        "peer_step_seconds": 0.01 * ratio,
        "peer_over_ours": ratio,
    }
    rates = {name: {"encode": 1e11} for name in training_speed.LIBRARIES}
    numbers = {f"n={num}": {"models": {"rhvae": row}, "rates": rates} for num in training_speed.NUMBERS}
    machine = {"processor": "a processor", "load_average": 0.1}
    header = {"command": "python benchmarks/training_speed.py", "date": "2026-01-02T03:04:05+00:00"}
    return {**header, "machine": machine, "gradient_error": 1e-8, "load_average_at_end": 0.2, **numbers}


def test_the_products_of_a_step_are_those_of_the_paper_networks() -> None:
    assert floor.products_of("vae", 3).total == 5
    assert floor.products_of("hvae", 3).total == 26
    assert floor.products_of("rhvae", 3) == floor.Products(2, 8, 8, 10)
    assert floor.floor_seconds("vae", 3, {"encode": 1, "decode": 2, "pull_back": 4, "gradient": 8}) == 23


def test_both_libraries_multiply_the_same_matrices() -> None:
    calls = floor.product_calls(7)
    for form in ("encode", "decode", "pull_back", "gradient"):
        first, second = (calls[library][form]() for library in training_speed.LIBRARIES)
        assert isinstance(first, torch.Tensor)
        assert isinstance(second, torch.Tensor)
        assert torch.allclose(first, second, atol=1e-3)


def test_the_gradient_check_would_find_a_wrong_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ours.gradient_error(12, 1) < 1e-6
    right = torch.autograd.grad
    monkeypatch.setattr(
        torch.autograd, "grad", lambda *given: tuple(1.001 * slope for slope in right(*given))
    )
    assert ours.gradient_error(12, 1) > 1e-4


@pytest.mark.parametrize(("ratio", "met"), [(6.0, True), (3.0, False)])
def test_targets_and_page(ratio: float, met: bool, tmp_path: Path) -> None:
    results = stored(ratio)
    results["targets"] = training_speed.targets(results)
    assert [row["met"] for row in results["targets"] if "pythae" in row["target"]] == [met, met]
    page = tmp_path / "page.md"
    page.write_text(f"before\n{training_speed.BEGIN}\nold\n{training_speed.END}\nafter\n")
    training_speed.write_page(results, page)
    text = page.read_text()
    assert "old" not in text
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert f"| {ratio:.1f} |" in text
    assert ("missed" in text.split("pythae's step over ours")[1].split("\n")[0]) is not met
