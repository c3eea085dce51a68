"""A class of many samples is drawn by several tasks: the same bytes and results as by one."""

import json
from pathlib import Path

import numpy as np
import pytest
from cli_runs import digit_arrays, leftovers, same_bytes

import riemaug.run.sampling
import riemaug.run.sampling_plan
import riemaug.run.segment_task
import riemaug.run.segments
import riemaug.run.sinks

AMOUNT = ("--per-class", 10, "--seed", 3)
SOME = ["npz", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("webdataset", "zarr", "folders"))]
KINDS = {
    "npz": ("--shards", "npz", "--shard-size", 4),
    "webdataset": ("--shards", "webdataset", "--shard-size", 4),
    "zarr": ("--shards", "zarr"),
    "folders": (),
}


def all_bytes(out: Path) -> dict[str, bytes]:
    """Return the bytes of all samples and tables."""
    names = [path for path in out.rglob("*") if path.is_file() and path.name not in ("run.json", "run.log")]
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in names}


def results(out: Path) -> list[dict[str, object]]:
    """Return what run.json says of the classes, but for times."""
    told = json.loads((out / "run.json").read_text())["classes"]
    return [{key: value for key, value in item.items() if not key.endswith("seconds")} for item in told]


def cut(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """Let a segment have `size` samples, and a stretch that is no shard as many."""
    for name in ("STRETCH_SAMPLES", "SEGMENT_SAMPLES", "SEGMENT_SAMPLES_OF_CHAINS"):
        monkeypatch.setattr(riemaug.run.segments, name, size)


def counted(monkeypatch: pytest.MonkeyPatch) -> list[range]:
    """Return a list in which each segment that is drawn in this process appears."""
    spans, run = [], riemaug.run.segment_task.SegmentTask.run

    def noted(self, progress):
        spans.append(self.segment.span)
        return run(self, progress)

    monkeypatch.setattr(riemaug.run.segment_task.SegmentTask, "run", noted)
    return spans


def check_sums(told: list[dict], wanted: list[dict]) -> None:
    """Check that results are equal; means of fractions are added in another order, so but for 1e-12."""
    for one, other in zip(told, wanted, strict=True):
        diagnostics, known = one.pop("diagnostics"), other.pop("diagnostics")
        assert one == other
        assert diagnostics.keys() == known.keys()
        for name, value in known.items():
            is_real = isinstance(value, float)
            assert diagnostics[name] == (pytest.approx(value, rel=1e-12, abs=0) if is_real else value)


@pytest.mark.parametrize("kind", SOME)
def test_segments_change_no_byte(cli, finished, tmp_path, monkeypatch, kind):
    pytest.importorskip("zarr")
    assert cli("sample", finished, tmp_path / "one", *AMOUNT, *KINDS[kind]).code == 0
    cut(monkeypatch, 4)
    spans = counted(monkeypatch)
    assert cli("sample", finished, tmp_path / "more", *AMOUNT, *KINDS[kind]).code == 0
    assert spans == [range(4), range(4, 10)] * 2
    assert all_bytes(tmp_path / "more") == all_bytes(tmp_path / "one")
    check_sums(results(tmp_path / "more"), results(tmp_path / "one"))
    assert leftovers(tmp_path / "more") == []


@pytest.fixture(scope="module")
def of_arrays(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An npz file of digits."""
    path = tmp_path_factory.mktemp("arrays") / "data.npz"
    X, y = digit_arrays([12, 12])
    np.savez(path, X=X, y=y)
    return path


VAE = ("--model", "vae", "--max-epochs", 3)


def test_segments_of_one_file(cli, of_arrays, tmp_path, monkeypatch):
    model = tmp_path / "model"
    assert cli("fit", of_arrays, model, *VAE, "-q").code == 0
    assert cli("sample", model, tmp_path / "one", "--per-class", 600).code == 0
    cut(monkeypatch, 100)  # blocks have 256 draws
    spans = counted(monkeypatch)
    assert cli("sample", model, tmp_path / "more", "--per-class", 600).code == 0
    assert spans == 2 * [range(first, first + 100) for first in range(0, 600, 100)]
    assert all_bytes(tmp_path / "more") == all_bytes(tmp_path / "one")
    check_sums(results(tmp_path / "more"), results(tmp_path / "one"))


@pytest.mark.slow
@pytest.mark.parametrize("sharing", ["never", "always"])
def test_an_augmentation_in_segments(cli, of_arrays, tmp_path, monkeypatch, sharing):
    chosen = ("--preset", "conditional", "--sharing", sharing, "--max-epochs", 3)
    options = ["--per-class", 300, *chosen, "--jobs", 2]
    assert cli("augment", of_arrays, tmp_path / "one", *options).code == 0
    cut(monkeypatch, 100)
    assert cli("augment", of_arrays, tmp_path / "more", *options).code == 0
    one, more = all_bytes(tmp_path / "one"), all_bytes(tmp_path / "more")
    assert one.keys() == more.keys()
    differ = {name for name in one if one[name] != more[name]}
    assert differ <= {"report.html", "model.json"}  # which tell times
    check_sums(results(tmp_path / "more"), results(tmp_path / "one"))


@pytest.mark.slow
def test_chains_are_cut_within_a_block(cli, finished, digits, tmp_path, monkeypatch):
    options = ["--per-class", 140, "--sampler", "walk", "--real", digits]  # a block has 128 chains
    assert cli("sample", finished, tmp_path / "one", *options).code == 0
    cut(monkeypatch, 60)
    spans = counted(monkeypatch)
    assert cli("sample", finished, tmp_path / "more", *options).code == 0
    assert spans == [range(60), range(60, 140)] * 2
    assert all_bytes(tmp_path / "more") == all_bytes(tmp_path / "one")
    check_sums(results(tmp_path / "more"), results(tmp_path / "one"))


@pytest.mark.slow
def test_jobs_change_nothing(cli, finished, tmp_path, monkeypatch):
    cut(monkeypatch, 4)
    for kind, options in KINDS.items():
        for jobs in (1, 2):
            assert (
                cli("sample", finished, tmp_path / f"{kind}{jobs}", *AMOUNT, *options, "--jobs", jobs).code
                == 0
            )
        assert all_bytes(tmp_path / f"{kind}1") == all_bytes(tmp_path / f"{kind}2")
        assert results(tmp_path / f"{kind}1") == results(tmp_path / f"{kind}2")


@pytest.mark.parametrize("kind", SOME)
def test_a_stopped_run_goes_on_within_a_segment(cli, finished, tmp_path, monkeypatch, kind):
    pytest.importorskip("zarr")
    options = ["--per-class", 24, "--seed", 3, *KINDS[kind]]
    assert cli("sample", finished, tmp_path / "whole", *options).code == 0
    cut(monkeypatch, 8)
    monkeypatch.setattr(riemaug.run.segments, "STRETCH_SAMPLES", 4)
    kinds = {"npz": "RowShards", "webdataset": "TarShards", "zarr": "ZarrSink", "folders": "FileSink"}
    sink, ended = getattr(riemaug.run.sinks, kinds[kind]), []
    end = sink.end

    def stop_in_the_fourth(self: object) -> None:
        ended.append(self)
        if len(ended) == 4:
            raise KeyboardInterrupt
        end(self)

    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(sink, "end", stop_in_the_fourth)
        assert cli("sample", finished, out, *options, "--batch-size", 3).code == 130
    spans, again = counted(monkeypatch), []
    monkeypatch.setattr(sink, "end", lambda self: (again.append(self), end(self))[1])
    assert cli("sample", finished, out, *options, "--batch-size", 3, "--resume").code == 0
    assert spans == [range(8, 16), range(16, 24), range(8), range(8, 16), range(16, 24)]
    assert len(again) == 9  # of twelve stretches three were done
    assert all_bytes(out) == all_bytes(tmp_path / "whole")
    assert leftovers(out) == []


def test_slow_draws_are_recorded_before_a_stretch_is_full(cli, finished, tmp_path, monkeypatch):
    monkeypatch.setattr(riemaug.run.segment_task, "STRETCH_SECONDS", 0.0)
    options, ended = [*AMOUNT, "--batch-size", 3], []
    end = riemaug.run.sinks.FileSink.end

    def stop_in_the_seventh(self):
        ended.append(self)
        if len(ended) == 7:
            raise KeyboardInterrupt
        end(self)

    with monkeypatch.context() as patch:
        patch.setattr(riemaug.run.sinks.FileSink, "end", stop_in_the_seventh)
        assert cli("sample", finished, tmp_path / "out", *options).code == 130
    again = []
    monkeypatch.setattr(riemaug.run.sinks.FileSink, "end", lambda self: (again.append(self), end(self))[1])
    assert cli("sample", finished, tmp_path / "out", *options, "--resume").code == 0
    assert len(again) == 2  # of 3 + 3 + 3 + 1 samples of each class, the first six pieces were recorded
    pictures = {name: digest for name, digest in same_bytes(finished).items() if name.endswith(".png")}
    assert len(pictures) == 20
    assert pictures.items() <= same_bytes(tmp_path / "out").items()
    npz = tmp_path / "shards"
    assert cli("sample", finished, npz, *options, "--shards", "npz", "--shard-size", 8).code == 0
    assert len(list((npz / "shards").iterdir())) == 4


def test_a_run_stopped_between_its_segments_and_their_gathering(cli, finished, tmp_path, monkeypatch):
    cut(monkeypatch, 4)
    whole, out = tmp_path / "whole", tmp_path / "out"
    assert cli("sample", finished, whole, *AMOUNT).code == 0

    def stop(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(riemaug.run.sampling, "_save_pictures", stop)
        assert cli("sample", finished, out, *AMOUNT).code == 130
    spans = counted(monkeypatch)
    assert cli("sample", finished, out, *AMOUNT, "--resume").code == 0
    assert spans == []
    assert all_bytes(out) == all_bytes(whole)
    assert results(out) == results(whole)


@pytest.mark.slow
def test_copies_are_dropped_by_one_task(cli, finished, digits, tmp_path, monkeypatch):
    cut(monkeypatch, 4)
    spans = counted(monkeypatch)
    options = [*AMOUNT, "--drop-copies", "--real", digits]
    assert cli("sample", finished, tmp_path / "out", *options).code == 0
    assert spans == [range(10)] * 2


def test_many_samples_use_the_cores_that_the_memory_allows(cli, finished, digits, tmp_path, monkeypatch):
    cut(monkeypatch, 4)
    monkeypatch.setattr(riemaug.run.sampling_plan, "MANY_SAMPLES", 20)
    monkeypatch.setattr(riemaug.run.sampling_plan.joblib, "cpu_count", lambda: 3)

    def planned(free: float, *more: object) -> int:
        monkeypatch.setattr(riemaug.run.sampling_plan, "free_memory", lambda: free)
        options = [*AMOUNT, *more, "--dry-run", "--json"]
        return cli("sample", finished, tmp_path / "out", *options).document["jobs"]

    assert planned(1e12) == 3
    assert planned(0.0) == 1
    assert planned(1e12, "--real", digits) == 1  # each task would hold a copy of it
    assert planned(1e12, "--per-class", 9) == 1


def test_one_class_may_have_as_many_jobs_as_segments(cli, finished, tmp_path, monkeypatch):
    cut(monkeypatch, 5)
    planned = cli("sample", finished, tmp_path / "out", *AMOUNT, "--jobs", 8, "--dry-run", "--json").document
    assert planned["jobs"] == 4
    assert cli("sample", finished, tmp_path / "out", *AMOUNT, "--dry-run", "--json").document["jobs"] == 1
