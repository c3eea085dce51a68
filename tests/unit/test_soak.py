"""The soak's own judgement, and half a minute of it."""

from dataclasses import replace

import pytest
from benchmarks import soak as benchmark
from benchmarks.soak import Seen, judge, soak

STEADY = [Seen(number, number, 500.0 + 0.02 * (number % 3), 10, 4, 0) for number in range(1, 41)]


def test_what_stays_is_steady():
    verdict = judge(STEADY)
    assert verdict.is_steady
    assert verdict.warm_up == 8
    # what is taken in the warm-up and kept is no growth
    assert judge(
        [replace(item, resident_mb=100.0, open_files=1) for item in STEADY[:7]] + STEADY[7:]
    ).is_steady


@pytest.mark.parametrize("name", ["open_files", "threads", "children"])
def test_one_more_handle_at_the_end_is_growth(name):
    verdict = judge([*STEADY[:-1], replace(STEADY[-1], **{name: getattr(STEADY[-1], name) + 1})])
    assert verdict.grown[name] == 1
    assert not verdict.is_steady


def test_memory_that_rises_slowly_is_growth():
    rising = [replace(item, resident_mb=item.resident_mb + 0.03 * item.cycle) for item in STEADY]
    assert judge(rising).megabytes_per_100_cycles == pytest.approx(3.0, abs=0.5)
    assert not judge(rising).is_steady


def test_one_step_is_no_leak_and_a_slope_beside_it_is():
    stepped = [replace(item, resident_mb=item.resident_mb + 7.0 * (item.cycle > 30)) for item in STEADY]
    assert judge(stepped).is_steady
    rising = [replace(item, resident_mb=item.resident_mb + 0.03 * item.cycle) for item in stepped]
    assert not judge(rising).is_steady


def test_too_few_cycles_are_no_soak():
    with pytest.raises(SystemExit, match="too few"):
        judge(STEADY[:6])


@pytest.mark.slow
def test_half_a_minute_of_it(monkeypatch):
    monkeypatch.setattr(benchmark, "FIDELITY_EVERY", 100)  # in the first cycle alone, which is warm-up
    seen = soak(30.0, jobs=1, least_cycles=9)
    verdict = judge(seen)
    assert not any(more > 0 for more in verdict.grown.values()), verdict
    # of few cycles a line is too steep by chance; a leak of a megabyte a cycle is seen
    assert seen[-1].resident_mb - seen[verdict.warm_up - 1].resident_mb < len(seen) - verdict.warm_up
