"""Discs and rings by their areas; reduced sets from the authors' file or drawn."""

import os
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import label
from study_files import images, write_mnist_like

from riemaug.errors import InvalidInputError
from riemaug.random import Stream
from riemaug.study import shapes
from riemaug.study.shapes import generate_shapes, load_small_set, shape_image

DATA = os.environ.get("RIEMAUG_DATA")
needs_data = pytest.mark.skipif(DATA is None, reason="needs RIEMAUG_DATA, the folder of the public data sets")


@pytest.mark.parametrize(("radius", "hole"), [(10.0, 0.0), (18.0, 9.0), (6.0, 4.0)])
def test_a_shape_has_its_area_and_is_round(radius: float, hole: float) -> None:
    image = shape_image(radius, hole)
    assert set(np.unique(image)) == {0, 255}
    area = np.pi * (radius**2 - hole**2)
    # each pixel on the rim errs by half a pixel at most, alternately
    assert (image > 0).sum() == pytest.approx(area, abs=np.pi * (radius + hole))
    np.testing.assert_array_equal(image, image.T)
    np.testing.assert_array_equal(image, image[::-1])


def test_shapes_are_binary_connected_and_as_many_of_each() -> None:
    made = generate_shapes(Stream(0))
    assert made.samples.shape == (180, 50, 50)
    assert made.counts(2) == (90, 90)
    assert set(np.unique(made.samples)) == {0.0, 1.0}
    for image, kind in zip(made.samples, made.labels, strict=True):
        # one piece; the background is one piece around a disc, two around and in a ring
        assert label(image)[1] == 1
        assert label(1 - image)[1] == 1 + kind


def test_shapes_vary_and_follow_the_seed() -> None:
    made = generate_shapes(Stream(0)).samples
    areas = made.sum((1, 2))
    assert areas.max() > 5 * areas.min()
    assert len(np.unique(made.reshape(180, -1), axis=0)) > 120
    np.testing.assert_array_equal(made, generate_shapes(Stream(0)).samples)
    assert not np.array_equal(made, generate_shapes(Stream(1)).samples)


def test_shapes_need_no_folder() -> None:
    made = load_small_set("shapes")
    assert (made.class_names, made.origin) == (("disc", "ring"), "generated")


def test_reduced_sets_from_the_authors_file(tmp_path: Path) -> None:
    pixels = images(6)
    np.savez(
        tmp_path / "paper_reduced.npz", fashion_images=pixels, fashion_labels=np.array([8, 1, 5, 5, 1, 8])
    )
    small = load_small_set("fashion_reduced", tmp_path)
    assert (small.class_names, small.origin) == (("Trouser", "Sandal", "Bag"), "authors")
    assert small.samples.labels.tolist() == [2, 0, 1, 1, 0, 2]
    np.testing.assert_array_equal(small.samples.samples, pixels / np.float32(255))


def test_reduced_sets_are_drawn_from_training_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shapes, "NUM_REDUCED", 6)
    arrays = write_mnist_like(tmp_path, "idx")
    small = load_small_set("mnist_reduced", tmp_path)
    assert small.origin == "drawn"
    assert small.samples.labels.tolist() == [0, 0, 1, 1, 2, 2]
    pairs = zip(arrays["train_images"], arrays["train_labels"], strict=True)
    train = {image.tobytes(): label for image, label in pairs}
    back = np.round(small.samples.samples * 255).astype(np.uint8)
    assert [train[image.tobytes()] for image in back] == [0, 0, 1, 1, 2, 2]


def test_mistakes_are_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="shapes, mnist_reduced, fashion_reduced"):
        load_small_set("letters")
    with pytest.raises(InvalidInputError, match="name the folder"):
        load_small_set("mnist_reduced")
    write_mnist_like(tmp_path, "idx")
    with pytest.raises(InvalidInputError, match="takes 40 training images of each class, the files have 3"):
        load_small_set("mnist_reduced", tmp_path)


@needs_data
@pytest.mark.parametrize("name", ["mnist_reduced", "fashion_reduced"])
def test_the_authors_sets(name: str) -> None:
    small = load_small_set(name, Path(str(DATA)))
    assert small.samples.counts(3) == (40, 41, 39)
    assert small.samples.shape == (28, 28)
