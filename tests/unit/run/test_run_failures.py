"""What goes wrong inside the task of one class: one line that names it, and nothing done is lost."""

import errno
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

import riemaug.run.fitting
import riemaug.run.sinks
from riemaug.cli.main import main
from riemaug.config import Amount, GeneratorConfig
from riemaug.data import read_dataset
from riemaug.errors import ResourceLostError, SamplingError, TrainingError
from riemaug.models import VAE
from riemaug.run.pipeline import augment
from riemaug.run.request import AugmentRequest, RunOptions
from riemaug.run.workdir import WORK_NAME
from riemaug.samplers import PriorSampler


@pytest.fixture
def data(tmp_path: Path) -> Path:
    flat, target = load_digits(return_X_y=True)
    for digit, name in enumerate(("cats", "dogs")):
        (tmp_path / "data" / name).mkdir(parents=True)
        for number, row in enumerate(flat[target == digit][:6]):
            pixels = (row.reshape(8, 8) * 15).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "data" / name / f"{number}.png")
    return tmp_path / "data"


def request(data: Path, resume: bool = False) -> AugmentRequest:
    return AugmentRequest(
        data=data,
        out=data.parent / "out",
        generator=GeneratorConfig(model="vae", max_epochs=5, device="cpu"),
        amount=Amount(per_class=4),
        run=RunOptions(jobs=1, resume=resume, batch_size=2),
    )


class SecondClass:
    """Tells calls that belong to the second model seen from those of the first."""

    def __init__(self) -> None:
        self.models: list[object] = []

    def __contains__(self, model: object) -> bool:
        if not any(model is seen for seen in self.models):
            self.models.append(model)
        return model is not self.models[0]


def check_resumable(data: Path) -> None:
    """The first class is done and stays so; the second can be done once the fault is gone."""
    out = data.parent / "out"
    first = out / WORK_NAME / "class-0000.result.json"
    assert first.is_file()
    assert not (out / "run.json").exists()
    before = {path: path.stat().st_mtime_ns for path in (out / "cats").iterdir()}
    assert len(before) == 4
    outcome = augment(request(data, resume=True))
    assert [result["synthetic"] for result in outcome.results] == [4, 4]
    assert {path: path.stat().st_mtime_ns for path in (out / "cats").iterdir()} == before
    assert read_dataset(out).counts == (4, 4)


def test_training_that_diverges_names_the_class(data, monkeypatch):
    second, objective = SecondClass(), VAE.objective

    def diverge(self: VAE, *arguments: Any) -> Any:
        found = objective(self, *arguments)
        return found if self not in second else replace(found, divergence=found.divergence * torch.nan)

    with monkeypatch.context() as patch:
        patch.setattr(VAE, "objective", diverge)
        with pytest.raises(TrainingError, match="class 'dogs': .*must stay finite"):
            augment(request(data))
    check_resumable(data)


def test_a_sampler_that_fails_names_the_class(data, monkeypatch):
    second, block = SecondClass(), PriorSampler.block

    def fail(self: PriorSampler, *arguments: Any) -> Any:
        if self in second:
            raise SamplingError("no proposal was accepted")
        return block(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(PriorSampler, "block", fail)
        with pytest.raises(SamplingError, match="class 'dogs': no proposal was accepted"):
            augment(request(data))
    check_resumable(data)


def test_samples_that_are_not_numbers_are_never_written(data, monkeypatch):
    second, decode = SecondClass(), VAE.decode

    def fail(self: VAE, points: torch.Tensor, condition: None) -> torch.Tensor:
        found = decode(self, points, condition)
        return found * (torch.nan if self in second and not self.training else 1.0)

    monkeypatch.setattr(VAE, "decode", fail)
    with pytest.raises(SamplingError, match="class 'cats'|class 'dogs'"):
        augment(request(data))
    assert not (data.parent / "out" / "dogs").exists()


@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory")])
def test_too_little_memory_names_the_class_and_a_way_out(data, monkeypatch, error):
    fit_model = riemaug.run.fitting.fit_model

    def fail(classes: Any, *arguments: Any) -> Any:
        if classes[0].name == "dogs":
            raise error
        return fit_model(classes, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(riemaug.run.fitting, "fit_model", fail)
        with pytest.raises(ResourceLostError, match="class 'dogs' must fit the memory.*--jobs 1"):
            augment(request(data))
    check_resumable(data)


@pytest.mark.parametrize(
    ("module", "place", "number"),
    [
        (riemaug.run.sinks, "write_class_files", 4),
        (riemaug.run.fitting, "write_tensors", 2),
        (riemaug.run.fitting, "atomic_write_text", 2),
    ],
)
def test_a_full_disk_ends_with_one_line(data, monkeypatch, capsys, module, place, number):
    write, calls = getattr(module, place), []

    def fail(*arguments: Any) -> Any:
        calls.append(place)
        # the last batch of images, the model, the description of the second class
        if len(calls) == number:
            raise OSError(errno.ENOSPC, "No space left on device", "/disk/out")
        return write(*arguments)

    arguments = ["augment", data, data.parent / "out", "--model", "vae", "--max-epochs", 5]
    arguments += ["--per-class", 4, "--jobs", 1, "--batch-size", 2, "--quiet", "--device", "cpu"]
    with monkeypatch.context() as patch:
        patch.setattr(module, place, fail)
        patch.setattr(sys, "argv", ["riemaug", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
    assert ended.value.code == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err == (
        "riemaug: the disk must have room for what is written, it has not: No space left on device "
        "(/disk/out): free space, then run the same command with --resume to go on where it stopped\n"
    )
    check_resumable(data)
