"""What is asked of the samplers, judged on what was measured."""

import math
from dataclasses import dataclass

LEAST_STEP_RATIO = {"d=2": 60.0, "d=10": 100.0}
LARGEST_FLOOR_RATIO = 3.0
LEAST_RATIO_TO_PUBLISHED = {"d=2": 30_000.0, "d=10": 10_000.0}
LEAST_RATIO_TO_PYTHAE = {"d=2": 5_000.0, "d=10": 1_000.0}
LEAST_EFFECTIVE_FRACTION = 0.8
LARGEST_GROWTH = 3.0
_IN_PI = ("mixture", "walk begun in pi", "hmc begun in pi")
_LARGEST_DISTANCE = 1.95 / 1.36
"""The 99.9 % quantile of Kolmogorov's law over its 95 % quantile."""


@dataclass(frozen=True)
class Target:
    """A number that should be at least, or at most, a bound."""

    name: str
    value: float
    bound: float
    at_least: bool = True

    @property
    def is_met(self) -> bool:
        """Whether it is."""
        return self.value >= self.bound if self.at_least else self.value <= self.bound


def all_targets(results: dict) -> list[Target]:
    """Return the targets that the parts measured allow to judge."""
    parts = {part: value for part, value in results.items() if isinstance(value, dict)}
    targets: list[Target] = []
    for name in LEAST_STEP_RATIO:
        row = {part: value.get(name, {}) for part, value in parts.items()}
        targets += _step_targets(name, row) + _draw_targets(name, row) + _law_targets(name, row)
    return targets + _growth_targets(results.get("large-n", []))


def _step_targets(name: str, row: dict) -> list[Target]:
    """Return what is asked of one step of the walk."""
    targets = []
    step, published = (row.get(part, {}).get("seconds_a_step") for part in ("walk", "published"))
    floor = row.get("floor", {})
    reference = floor.get("reference_seconds_scaled")
    if published and reference:
        label = f"{name}: published form restated, over its reference time scaled"
        targets.append(Target(label, published / reference, 1.0, False))
    if step:
        others = (("published form's", published), ("reference's, scaled", reference))
        targets += [
            Target(
                f"{name}: steps a second in float64 over the {words}", other / step, LEAST_STEP_RATIO[name]
            )
            for words, other in others
            if other
        ]
    single = row.get("walk", {}).get("seconds_a_step_float32")
    if single and published:
        label = f"{name}: steps a second over the published form's, both in float32"
        targets.append(Target(label, published / single, LEAST_STEP_RATIO[name]))
    if single and floor:
        label = f"{name}: time of a step over the floor, both in float32"
        targets.append(Target(label, single / floor["float32"]["seconds"], LARGEST_FLOOR_RATIO, False))
    if step and floor:
        ratio = step / floor["float64"]["seconds"]
        targets.append(
            Target(
                f"{name}: time of a step over the floor, both in float64", ratio, LARGEST_FLOOR_RATIO, False
            )
        )
    return targets


def _draw_targets(name: str, row: dict) -> list[Target]:
    """Return what is asked of the mixture sampler's draws."""
    mixture, targets = row.get("mixture", {}), []
    if not mixture:
        return targets
    rates = {part: row.get(part, {}).get("draws_per_second") for part in ("published", "pythae")}
    reference = row.get("floor", {}).get("reference_seconds_scaled")
    if rates["published"] and reference:
        rates["reference"] = rates["published"] * row["published"]["seconds_a_step"] / reference
    others = (
        ("published", "the published walk's", LEAST_RATIO_TO_PUBLISHED),
        ("reference", "the reference's, scaled", LEAST_RATIO_TO_PUBLISHED),
        ("pythae", "pythae's", LEAST_RATIO_TO_PYTHAE),
    )
    for part, words, bounds in others:
        if rate := rates.get(part):
            ratio = mixture["effective_draws_per_second"] / rate
            targets.append(Target(f"{name}: effective draws a second over {words}", ratio, bounds[name]))
    fraction = mixture["diagnostics"]["effective_fraction"]
    if fraction is not None:
        targets.append(Target(f"{name}: effective fraction of the fit", fraction, LEAST_EFFECTIVE_FRACTION))
    return targets


def _law_targets(name: str, row: dict) -> list[Target]:
    """Return how far the exact samplers are from pi, in units of what chance gives (95 %)."""
    targets = []
    for sampler, law in row.get("laws", {}).get("samplers", {}).items():
        if sampler in _IN_PI:
            distance = max(law["ks_log_density"], law["ks_first_coordinate"]) / law["noise_95"]
            label = f"{name}: KS distance from pi of {sampler}, over its 95 % noise"
            targets.append(Target(label, distance, _LARGEST_DISTANCE, False))
    return targets


def _growth_targets(rows: list[dict]) -> list[Target]:
    """Return the growth of the time a draw from 1,000 to 100,000 centroids; infinite where a run failed."""
    times = {(row["dim"], row["num_centroids"]): row.get("microseconds_a_draw", math.inf) for row in rows}
    label = "time a draw, N = 100,000 over N = 1,000"
    return [
        Target(f"d={dim}: {label}", times[dim, 100_000] / first, LARGEST_GROWTH, False)
        for (dim, num), first in times.items()
        if num == 1_000 and (dim, 100_000) in times and math.isfinite(first)
    ]
