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


def load_images(cache: Path, **options: Any) -> dict[str, Any]:
    """Return what `datasets.load_dataset("imagefolder", ...)` finds: its splits, classes and rows."""
    offline = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(cache), "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", LOAD, json.dumps(options)],
        env={**os.environ, **offline},
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
