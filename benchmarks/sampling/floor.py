"""The least time of one step of the walk: exponentials and multiplications counted, at measured rates.

Per chain, centroid and evaluation of (C q, dH/dz), with s = d (d + 1) / 2 distinct entries of a symmetric
matrix and 2 flops for each multiply-add:

- the exponent of w_i, (z, 1) times (2 c_i, -|c_i|^2) / T^2, as |z|^2 belongs to the chain: 2 (d + 1);
- one exponential;
- C = sum_i w_i M_i: 2 s;
- the force, by whichever is less: a_i = q^T M_i q 2 s, w_i a_i 1, and the product with (c_i, 1) 2 (d + 1);
  or the moments sum_i w_i (c_i)_k M_i, from which q takes it at no cost per centroid: 2 s d.

A step of K midpoint sub-steps has 2 K evaluations. The density at its end, and the momentum G v at the next
start, need w and C of a point whose first evaluation needs them too: kept, they cost nothing more. What is
done once a chain (d x d solves, noise, acceptance) is left out, as is all traffic with memory.
"""

from dataclasses import asdict, dataclass

from .cases import REFERENCE_GEMM, Case
from .machine import Rates


@dataclass(frozen=True)
class StepCost:
    """What one step of all chains costs at least."""

    exponentials: float
    flops: float

    def seconds(self, gemm_rate: float, exp_rate: float) -> float:
        """Return the time at these rates."""
        return self.exponentials / exp_rate + self.flops / gemm_rate


def flops_per_kernel(dim: int) -> int:
    """Return the flops of one evaluation of (C q, dH/dz) per chain and centroid."""
    entries = dim * (dim + 1) // 2
    by_forms = 2 * entries + 1 + 2 * (dim + 1)
    by_moments = 2 * entries * dim
    return 2 * (dim + 1) + 2 * entries + min(by_forms, by_moments)


def step_cost(case: Case) -> StepCost:
    """Return the cost of one step of the walk."""
    kernels = 2 * case.num_integration_steps * case.num_chains * case.num_centroids
    return StepCost(kernels, kernels * flops_per_kernel(case.dim))


def floor_as_json(case: Case, rates: dict[str, Rates]) -> dict:
    """Return the counts, the floors in seconds (by the better exp and by torch's), the reference time.

    The last is what the published form took elsewhere, scaled by the float32 GEMM rates.
    """
    cost = step_cost(case)
    floors = {
        name: {
            "seconds": cost.seconds(rate.gemm, rate.exp),
            "seconds_with_torch_exp": cost.seconds(rate.gemm, rate.exp_torch),
        }
        for name, rate in rates.items()
    }
    reference = case.reference_seconds * REFERENCE_GEMM / rates["float32"].gemm
    counts = {**asdict(cost), "flops_per_kernel": flops_per_kernel(case.dim)}
    return {**counts, **floors, "reference_seconds_scaled": reference}
