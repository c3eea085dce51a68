"""The solver of many small systems: roots, failures, damping, independence of rows, derivatives."""

import pytest
import torch
from torch import Tensor

from riemaug.geometry.newton import FEW_ROWS, RootSolver


def cubic(guess: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """x + x^3 + mean x = target, one root for every target."""
    dim = guess.shape[-1]
    gap = guess + guess**3 + guess.mean(-1, keepdim=True) - target
    slope = torch.diag_embed(1.0 + 3.0 * guess**2) + torch.full((dim, dim), 1.0 / dim, dtype=guess.dtype)
    return gap, slope


def targets(*shape: int) -> Tensor:
    return 2.0 * torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("shape", [(3,), (0, 3), (7, 3), (2, 5, 3), (2 * FEW_ROWS, 1)])
def test_roots_are_found_in_any_batch(shape: tuple[int, ...]) -> None:
    target = targets(*shape)
    root = RootSolver().find(cubic, target, (target,))
    assert root.value.shape == shape
    assert root.solved.shape == shape[:-1]
    assert root.solved.all()
    gap, slope = cubic(root.value, target)
    torch.testing.assert_close(gap, torch.zeros_like(gap), rtol=0, atol=1e-9)
    torch.testing.assert_close(root.slope, slope, rtol=0, atol=1e-12)


def test_convergence_is_quadratic() -> None:
    target = targets(50, 2)
    exact = RootSolver(tolerance=1e-15).find(cubic, target, (target,)).value
    near = exact + 1e-3
    solved = [
        RootSolver(tolerance=1e-8, max_iterations=n).find(cubic, near, (target,)).solved for n in (1, 2)
    ]
    assert not solved[0].any()
    assert solved[1].all()  # 1e-3 -> 1e-6 -> 1e-12


@pytest.mark.parametrize("num", [10, 2 * FEW_ROWS])
def test_rows_without_a_root_are_flagged_and_leave_the_others_alone(num: int) -> None:
    constant = targets(num, 1).square().add(0.1).neg()
    constant[3], constant[5] = 1.0, torch.nan

    def parabola(guess: Tensor, constant: Tensor) -> tuple[Tensor, Tensor]:
        return guess**2 + constant, 2.0 * guess[..., None]

    begin = torch.full((num, 1), 0.7, dtype=torch.float64)
    root = RootSolver().find(parabola, begin, (constant,))
    lost = torch.zeros(num, dtype=torch.bool)
    lost[[3, 5]] = True
    assert torch.equal(root.solved, ~lost)
    torch.testing.assert_close(root.value[~lost], constant[~lost].neg().sqrt(), rtol=0, atol=1e-9)
    assert torch.equal(root.value[lost], begin[lost])
    assert torch.equal(root.slope[lost], torch.ones(2, 1, 1, dtype=torch.float64))
    alone = RootSolver().find(parabola, begin[:3], (constant[:3],))
    assert torch.equal(alone.value, root.value[:3])  # to the bit: a solved row is not touched again


def test_halved_steps_find_what_full_steps_overshoot() -> None:
    def arctangent(guess: Tensor) -> tuple[Tensor, Tensor]:
        # plain steps lead away from the root, full Newton steps overshoot by more each time
        return -3.0 * guess.atan(), (-3.0 / (1.0 + guess**2))[..., None]

    begin = torch.tensor([[4.0], [-30.0]], dtype=torch.float64)
    root = RootSolver(halvings=8).find(arctangent, begin, ())
    assert root.solved.all()
    assert float(root.value.abs().max()) < 1e-9
    assert not RootSolver(max_iterations=20).find(arctangent, begin, ()).solved.all()


def test_each_unknown_has_its_own_scale() -> None:
    def linear(guess: Tensor) -> tuple[Tensor, Tensor]:
        # a slope that is wrong by a tenth: each iteration gains one digit
        return guess - torch.tensor([1.0, 1e8]).double(), 1.1 * torch.eye(2).double().expand(1, 2, 2)

    begin = torch.tensor([[2.0, 1e8]], dtype=torch.float64)
    loose = RootSolver(tolerance=1e-9).find(linear, begin, ())
    assert float((loose.value[0, 0] - 1.0).abs()) > 1e-3  # 1e-9 of the larger unknown is far too much
    strict = RootSolver(tolerance=1e-9).find(linear, begin, (), torch.tensor([[1.0, 1e8]]).double())
    assert strict.solved.all()
    assert float((strict.value[0, 0] - 1.0).abs()) < 1e-8


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")  # PyTorch's own, at its first jvp
def test_derivatives_are_those_of_the_implicit_function_in_both_modes() -> None:
    target = targets(4, 2)

    def solve(target: Tensor) -> Tensor:
        root = RootSolver().find(cubic, target, (target,))
        return root.corrected(lambda guess: cubic(guess, target)[0])

    _, slope = cubic(solve(target), target)
    expected = torch.linalg.inv(slope)  # d root / d target, row by row
    backward = torch.autograd.functional.jacobian(solve, target)
    units = torch.eye(8, dtype=torch.float64).unflatten(-1, (4, 2))
    columns = [torch.func.jvp(solve, (target,), (unit,))[1] for unit in units]
    forward = torch.stack(columns, -1).unflatten(-1, (4, 2))
    for full in (backward, forward):
        rows = torch.stack([full[i, :, i] for i in range(4)])
        torch.testing.assert_close(rows, expected, rtol=0, atol=1e-9)
        assert float(full.abs().sum()) == pytest.approx(float(rows.abs().sum()))  # no row depends on another
    with torch.no_grad():
        assert not solve(target.requires_grad_()).requires_grad
