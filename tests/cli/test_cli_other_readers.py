"""Outputs read by the loaders that users have: Hugging Face datasets and torchvision themselves."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_runs import Command, write_digits
from PIL import Image

from riemaug.data.names import split_like_notes

needs_hugging_face = pytest.mark.skipif(
    importlib.util.find_spec("datasets") is None, reason="Hugging Face datasets is not installed"
)
QUICK = ("--max-epochs", 2, "--jobs", 1, "--model", "vae")
SIZES = {"cat": 4, "dög, [1] *": 5, "007": 6, "test": 4}
NEW = 2
# another process: the library looks at the environment when it is imported
LOAD = """
import json, sys
from datasets import load_dataset

def told(value):
    return value if isinstance(value, (int, str, bool)) else [value.mode, *value.size]

loaded = load_dataset("imagefolder", **json.loads(sys.argv[1]))
print(json.dumps({
    "splits": list(loaded),
    "classes": getattr(loaded["train"].features["label"], "names", None),
    "rows": [{column: told(cell) for column, cell in row.items()} for row in loaded["train"]],
}))
"""


# names of folders, each by itself
PARTS = """
import json, pathlib, sys
from datasets.data_files import get_data_patterns

found = []
for number, name in enumerate(json.loads(sys.argv[1])):
    folder = pathlib.Path(sys.argv[2], str(number), "out")
    for file in (folder / name / f"{name}-000001.png", folder / "other" / "other-000001.png"):
        file.parent.mkdir(parents=True)
        file.touch()
    patterns = get_data_patterns(str(folder))
    found.append(next(iter(patterns.values())) != ["**"])
print(json.dumps(found))
"""
LIKE_PARTS = ("test", "train2", "a-dev", "x_valid_y", "eval.1", "2 training 3", "no.val", "my evaluation")
UNLIKE_PARTS = (
    "Test",
    "latest",
    "trainer",
    "contest2",
    "devil",
    "cat",
    "test+",
    "testé",
    "validated",
    "evals",
)


def offline(cache: Path) -> dict[str, str]:
    more = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(cache), "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}
    return {**os.environ, **more}


def load_images(cache: Path, **options: Any) -> dict[str, Any]:
    """Return what `datasets.load_dataset("imagefolder", ...)` finds: its splits, classes and rows."""
    done = subprocess.run(
        [sys.executable, "-c", LOAD, json.dumps(options)],
        env=offline(cache),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def augmented(cli: Command, data: Path, *options: object) -> Path:
    out = data.with_name("out")
    done = cli("augment", data, out, "--per-class", NEW, *QUICK, *options)
    assert done.code == 0, done.err
    return out


@pytest.mark.slow
@needs_hugging_face
@pytest.mark.parametrize("real", [(), ("--include-real", "copy"), ("--include-real", "link")])
def test_hugging_face_datasets_reads_pictures_labels_and_their_origin(
    cli: Command, tmp_path: Path, real: tuple[str, ...]
):
    data = write_digits(tmp_path / "in", {"cat": 4, "dög, [1] *": 5})
    loaded = load_images(tmp_path / "cache", data_dir=str(augmented(cli, data, *real)))
    assert loaded["splits"] == ["train"]
    rows = sorted((row["label"], row["synthetic"]) for row in loaded["rows"])
    counts = {"cat": 4, "dög, [1] *": 5} if real else {}
    expected = [(name, True) for name in ("cat", "dög, [1] *") for _ in range(NEW)]
    expected += [(name, False) for name, count in counts.items() for _ in range(count)]
    assert rows == sorted(expected)
    assert {tuple(row["image"]) for row in loaded["rows"]} == {("L", 8, 8)}


@pytest.mark.slow
@needs_hugging_face
def test_hugging_face_datasets_reads_classes_of_any_name_from_the_folders(cli: Command, tmp_path: Path):
    # given the folder alone it would take the class "test" for a part of the data, and no other class
    data = write_digits(tmp_path / "in", SIZES)
    out = augmented(cli, data, "--include-real", "copy")
    loaded = load_images(tmp_path / "cache", data_files={"train": str(out / "*" / "*")})
    assert loaded["splits"] == ["train"]
    assert loaded["classes"] == sorted(SIZES)
    counts = np.bincount([row["label"] for row in loaded["rows"]])
    assert counts.tolist() == [SIZES[name] + NEW for name in sorted(SIZES)]


def test_classes_named_like_parts_are_told_of():
    assert [bool(split_like_notes(["cat", name])) for name in LIKE_PARTS] == [True] * len(LIKE_PARTS)
    assert not split_like_notes(UNLIKE_PARTS)
    (note,) = split_like_notes(["train2", "cat", "test"])
    assert note.startswith("The classes 'train2', 'test' are named like a part of a data set: of OUT,")
    assert "data_files={'train': 'OUT/*/*'}" in note


@pytest.mark.slow
@needs_hugging_face
def test_the_names_that_are_told_of_are_those_that_hugging_face_takes_for_parts(tmp_path: Path):
    names = [*LIKE_PARTS, *UNLIKE_PARTS]
    done = subprocess.run(
        [sys.executable, "-c", PARTS, json.dumps(names), str(tmp_path)],
        env=offline(tmp_path / "cache"),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = dict(zip(names, json.loads(done.stdout), strict=True))
    assert found == {name: bool(split_like_notes([name])) for name in names}


@pytest.mark.parametrize(
    ("options", "told"), [((), True), (("--shards", "npz"), True), (("--shards", "zarr"), False)]
)
def test_the_plan_tells_of_such_a_class_once(
    cli: Command, tmp_path: Path, options: tuple[str, ...], told: bool
):
    if "zarr" in options:
        pytest.importorskip("zarr")
    data = write_digits(tmp_path / "in", {"train2": 4, "cat": 4})
    done = cli("augment", data, tmp_path / "out", *QUICK, "--dry-run", *options)
    assert done.code == 0, done.err
    assert " ".join(done.err.split()).count("named like a part of a data set") == told


@pytest.mark.slow
@pytest.mark.parametrize("real", [(), ("--include-real", "link")])
def test_torchvision_reads_the_class_folders(cli: Command, tmp_path: Path, real: tuple[str, ...]):
    datasets = pytest.importorskip("torchvision.datasets")
    out = augmented(cli, write_digits(tmp_path / "in", SIZES), *real)
    found = datasets.ImageFolder(out)
    assert found.classes == sorted(SIZES)
    sizes = [NEW + (SIZES[name] if real else 0) for name in sorted(SIZES)]
    assert np.bincount(found.targets).tolist() == sizes
    for path, (picture, label) in zip((path for path, _ in found.samples), found, strict=True):
        assert found.classes[label] == Path(path).parent.name
        with Image.open(path) as image:
            np.testing.assert_array_equal(np.asarray(picture), np.asarray(image.convert("RGB")))
