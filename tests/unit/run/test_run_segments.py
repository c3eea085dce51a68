"""Where a class is cut into segments, their tasks, and what is known of draws that several sources made."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

import riemaug.samplers.chain_sampler
from riemaug.config import SamplingConfig
from riemaug.data import RangeScaler, SampleFormat
from riemaug.geometry import KernelMetric
from riemaug.run.class_tasks import ClassTasks, task_name
from riemaug.run.fitting import FitJob
from riemaug.run.jobs import ClassJob, SampleSpec
from riemaug.run.segments import SEGMENT_SAMPLES, SegmentJob, segment_size, segments_of
from riemaug.run.workdir import WorkDir
from riemaug.samplers import HMC, BlockSampler, MixtureSampler
from riemaug.samplers.chain_sampler import ChainOptions

PIXELS = SampleFormat("folder", (28, 28), "uint8", ".png", None, False)
SCANS = replace(PIXELS, shape=(1024, 1024))


def spec_of(count: int, fmt: SampleFormat = PIXELS, **fields: object) -> SampleSpec:
    return replace(SampleSpec(count, SamplingConfig(), fmt, 256, Path("out")), **fields)


@pytest.mark.parametrize(
    ("spec", "sampler", "size"),
    [
        (spec_of(0), "mixture", 50_000),
        (spec_of(0), "prior", 50_000),
        (spec_of(0), "hmc", 10_000),
        (spec_of(0), "walk-paper", 10_000),
        (spec_of(0, SCANS), "mixture", 256),
        (spec_of(0, shards="npz", shard_size=7000), "mixture", 49_000),
        (spec_of(0, shards="npz", shard_size=7000), "hmc", 7000),
        (spec_of(0, shards="webdataset", shard_size=10**6), "mixture", 10**6),
        (spec_of(0, SCANS, shards="zarr", shard_size=7000), "mixture", 256),
        (spec_of(0, drop_copies=True), "mixture", None),
    ],
)
def test_a_segment_is_some_whole_stretches(spec, sampler, size):
    assert segment_size(spec, sampler) == size


@pytest.mark.parametrize("count", [0, 1, 99, 100, 199, 200, 299, 300, 1234])
def test_segments_cover_a_class_and_small_ones_are_not_cut(count):
    segments = segments_of(3, spec_of(count, segment_size=100))
    assert [number for segment in segments for number in segment.span] == list(range(count))
    assert len(segments) == max(count // 100, 1)
    assert all(segment.span.start % 100 == 0 for segment in segments)
    assert len({segment.stem for segment in segments}) == len(segments)
    assert (segments[0].stem == "class-0003") == (count < 200)
    assert segments_of(3, spec_of(count)) == segments_of(3, spec_of(count, segment_size=10**6))


def jobs_of(counts: list[int], work: WorkDir) -> list[ClassJob]:
    scaler, specs = RangeScaler.fit(np.zeros((2, 2))), [spec_of(count, segment_size=100) for count in counts]
    return [ClassJob(i, f"c{i}", work, scaler, sample=spec) for i, spec in enumerate(specs)]


def test_large_classes_have_tasks_of_their_segments(tmp_path):
    tasks = ClassTasks(jobs_of([50, 400, 150], WorkDir(tmp_path)))
    kinds = [type(task) for task in tasks.tasks]
    assert kinds == [ClassJob, *[SegmentJob] * 4, ClassJob]
    names = [task_name(task) for task in tasks.tasks]
    assert names[:2] == ["class 'c0'", "class 'c1', samples 1 to 100"]
    told = [progress.task for progress in tasks.progress]
    assert sum(task.weight for task in told) == pytest.approx(3.0)
    assert sum(task.classes for task in told) == 3
    assert len({progress.path for progress in tasks.progress}) == len(told) == 7


def test_a_class_that_is_to_be_fitted_is_one_task(tmp_path):
    job = replace(jobs_of([400], WorkDir(tmp_path))[0], fit=object.__new__(FitJob))
    assert ClassTasks([job]).tasks == [job]


def metric() -> KernelMetric:
    draw = torch.Generator().manual_seed(0)
    centroids = torch.randn(12, 2, generator=draw, dtype=torch.float64)
    factors = torch.eye(2, dtype=torch.float64).repeat(12, 1, 1)
    return KernelMetric(centroids, factors, 0.7, 1e-2)


def chains() -> HMC:
    return HMC(metric(), chains=ChainOptions(num_steps=16, num_chains=16, num_tuning_steps=5))


@pytest.mark.parametrize("make", [chains, lambda: MixtureSampler(metric())], ids=["hmc", "mixture"])
@pytest.mark.parametrize("cuts", [[0, 1, 5], [0, 1, 2, 3, 4, 5]])
def test_what_several_sources_count_adds_up(make, cuts, monkeypatch):
    monkeypatch.setattr(riemaug.samplers.chain_sampler, "TRACED_CHAINS", 40)  # three of five blocks
    sampler: BlockSampler = make()
    whole = sampler.source(3)
    for index in range(5):
        whole.take(whole.block(index))
    states = []
    for first, last in pairwise(cuts):
        source = make().source(3)
        if first:
            source.resume(source.nothing())
        for index in range(first, last):
            source.take(source.block(index))
        states.append(source.state())
    joined = make().source(3)
    joined.resume(states[0])
    for state in states[1:]:
        joined.add(state)
    one, other = whole.state(), joined.state()
    assert one.keys() == other.keys()
    for name, value in one.items():
        if value.dtype.kind == "f" and value.ndim == 0:
            assert other[name] == pytest.approx(float(value), rel=1e-12, abs=0)  # sums, in another order
        else:
            assert np.array_equal(value, other[name])
    assert joined.diagnostics().rhat == whole.diagnostics().rhat
    assert joined.diagnostics().evaluations == whole.diagnostics().evaluations


def test_the_usual_segment_is_longer_than_what_most_ask_for():
    spec = spec_of(2 * SEGMENT_SAMPLES - 1)
    assert len(segments_of(0, replace(spec, segment_size=segment_size(spec, "mixture")))) == 1
