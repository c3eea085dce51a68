"""What a report keeps of a manifest."""

import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest

import riemaug.run.manifest_digest
from riemaug.data import ManifestRow
from riemaug.run.manifest_digest import ManifestDigest
from riemaug.run.shown import SHOWN_PICTURES


def rows(count: int, compared: bool = True) -> Iterator[ManifestRow]:
    for number in range(count):
        name = ("cat", "dog", "none of the model")[number % 3]
        distance = number / 10 if compared else None
        copy = ("no", "near")[number % 2] if compared else ""
        file, nearest = f"{name}/{number}.png", f"{name}-{number % 7}.png"
        yield ManifestRow(file, name, nearest_file=nearest, nearest_distance=distance, copy=copy)


def test_a_class_has_its_first_samples_and_sums() -> None:
    digest = ManifestDigest(rows(90), ["dog", "cat", "empty"])
    assert (digest.num_rows, digest.first_file) == (90, "cat/0.png")
    dog, cat, empty = digest.classes
    assert (dog.count, cat.count, empty.count) == (30, 30, 0)
    assert dog.files == [f"dog/{number}.png" for number in range(1, 90, 3)][:SHOWN_PICTURES]
    assert len(dog.nearest) == len(dog.files)
    assert dog.distances == [number / 10 for number in range(1, 90, 3)]
    assert dog.copies == {"no": 15, "near": 15}
    assert dog.compared
    assert not empty.compared
    np.testing.assert_array_equal(np.flatnonzero(digest.of_class(0)), np.arange(1, 90, 3))
    assert not digest.of_class(2).any()


def test_without_a_comparison_there_are_no_distances() -> None:
    cat, _ = ManifestDigest(rows(9, compared=False), ["cat", "dog"]).classes
    assert not cat.compared
    assert cat.distances == []


def test_an_empty_manifest() -> None:
    digest = ManifestDigest([], ["cat"])
    assert (digest.num_rows, digest.first_file, digest.classes[0].count) == (0, "", 0)
    assert not digest.of_class(0).any()


def test_memory_does_not_grow_with_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(riemaug.run.manifest_digest, "MOST_DISTANCES", 100)
    count = 9_000
    tracemalloc.start()
    digest = ManifestDigest(rows(count), ["cat", "dog"])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert digest.num_rows == count
    assert len(digest.classes[0].distances) == 100
    assert peak < 20 * count + 100_000  # the rows themselves take a thousand bytes each
