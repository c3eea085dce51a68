"""Small folders of images on disk."""

from collections.abc import Callable
from pathlib import Path

import pytest
from data_files import nth_image, save_image


@pytest.fixture
def fill() -> Callable[..., Path]:
    """Write `count` different 6 x 5 grey images a.png, b.png, ... into a class folder."""

    def write(folder: Path, count: int = 2) -> Path:
        for index in range(count):
            save_image(folder / f"{chr(97 + index)}.png", nth_image(folder.name, index))
        return folder

    return write


@pytest.fixture
def two_classes(tmp_path: Path, fill: Callable[..., Path]) -> Path:
    """Give a folder with the classes cat (3 images) and dog (2 images)."""
    root = tmp_path / "data"
    fill(root / "cat", 3)
    fill(root / "dog", 2)
    return root
