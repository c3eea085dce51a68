import json

import numpy as np
import pytest

from riemaug.data import read_dataset
from riemaug.demonstration import prepare_demonstration, score_digits, split_digits, write_digits
from riemaug.errors import InvalidInputError


def test_no_digit_is_both_learned_from_and_scored_on():
    split = split_digits(20, seed=3)
    assert split.train_images.shape == (200, 8, 8)
    assert np.bincount(split.train_labels).tolist() == [20] * 10
    assert len(split.train_images) + len(split.test_images) == 1797
    # two of scikit-learn's digits may be alike in pixels: what is compared is how often each occurs
    from sklearn.datasets import load_digits

    flat, target = load_digits(return_X_y=True)
    everything = np.concatenate([split.train_images, split.test_images]).reshape(1797, -1)
    labels = np.concatenate([split.train_labels, split.test_labels])
    ours = np.column_stack([np.rint(everything * (16 / 255)), labels])
    theirs = np.column_stack([flat, target])
    assert np.array_equal(ours[np.lexsort(ours.T)], theirs[np.lexsort(theirs.T)])


def test_the_seed_decides_the_split():
    first, again, other = split_digits(5, 0), split_digits(5, 0), split_digits(5, 1)
    assert np.array_equal(first.train_images, again.train_images)
    assert not np.array_equal(first.train_images, other.train_images)


def test_some_digits_must_be_left_to_score_on():
    assert len(split_digits(173, 0).test_images) > 0
    with pytest.raises(InvalidInputError, match=r"--train-per-class .* at most 173, got 174"):
        split_digits(174, 0)


def test_the_digits_are_written_as_class_folders(tmp_path):
    split = split_digits(4, 0)
    write_digits(split, tmp_path / "digits")
    written = read_dataset(tmp_path / "digits")
    assert written.class_names == tuple("0123456789")
    assert written.counts == (4,) * 10
    for digit in range(10):
        assert np.array_equal(written.of_class(digit), split.train_images[split.train_labels == digit])


def test_scores_of_real_digits_as_synthetic_ones_are_those_of_the_real(tmp_path):
    split = split_digits(10, 0)
    write_digits(split, tmp_path / "made")
    scores = score_digits(split, tmp_path / "made", tmp_path / "scores.json")
    assert set(scores) == {"real", "synthetic", "real and synthetic"}
    assert scores["real"] == scores["synthetic"] > 0.8
    written = json.loads((tmp_path / "scores.json").read_text())
    assert written["accuracy"] == scores
    assert written["trained_on"] == {"real": 100, "synthetic": 100, "real and synthetic": 200}
    assert written["held_out"] == 1697


def test_a_demonstration_goes_on_only_with_its_own_digits(tmp_path):
    split, out = split_digits(3, 0), tmp_path / "out"
    assert prepare_demonstration(out, split, False) == out
    write_digits(split, out / "digits")
    with pytest.raises(InvalidInputError, match="new or empty"):
        prepare_demonstration(out, split, False)
    assert prepare_demonstration(out, split, True) == out
    # killed while it wrote them
    (out / "digits" / "3" / "3-000002.png").unlink()
    assert prepare_demonstration(out, split, True) == out
    (out / "augmented").mkdir()
    with pytest.raises(InvalidInputError, match="--train-per-class and --seed"):
        prepare_demonstration(out, split, True)  # learned from, and one lacks
    write_digits(split, out / "digits")
    assert prepare_demonstration(out, split, True) == out
    for other in (split_digits(2, 0), split_digits(3, 1), split_digits(4, 0)):
        with pytest.raises(InvalidInputError, match="--train-per-class and --seed"):
            prepare_demonstration(out, other, True)


def test_resume_is_no_way_into_a_foreign_folder(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(InvalidInputError, match="new or empty"):
        prepare_demonstration(tmp_path, split_digits(3, 0), True)
