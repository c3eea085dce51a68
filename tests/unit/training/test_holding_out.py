"""What is held out where samples belong to subjects: whole subjects, and no more than was asked for."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from riemaug.class_model import TrainingRows, fit_model
from riemaug.errors import InvalidInputError
from riemaug.models import ModelConfig
from riemaug.random import Stream
from riemaug.training import TrainingConfig
from riemaug.training.batches import Samples, hold_out
from riemaug.training.holding_out import HoldOut


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_without_subjects_rows_are_drawn_one_by_one():
    order, number = HoldOut().order(9, 3, generator())
    assert (order.tolist(), number) == (torch.randperm(9, generator=generator()).tolist(), 3)


@given(st.lists(st.integers(0, 6), min_size=2, max_size=30), st.integers(0, 29), st.integers(0, 9))
def test_a_subject_is_whole_and_the_share_is_kept_to(subjects, wanted, seed):
    wanted = min(wanted, len(subjects) - 1)
    order, number = HoldOut().order(len(subjects), wanted, generator(seed), subjects)
    assert sorted(order.tolist()) == list(range(len(subjects)))
    held, kept = ({subjects[row] for row in part} for part in (order[:number], order[number:]))
    assert not held & kept
    assert kept
    smallest = min(subjects.count(name) for name in set(subjects))
    assert number <= max(wanted, smallest)
    assert (number > 0) == (wanted > 0 and len(set(subjects)) > 1)


def test_a_subject_of_two_classes_is_on_one_side():
    for seed in range(20):
        split, sides = HoldOut(), {}
        for subjects in (list("aabbcc"), list("ccddaaee")):
            order, number = split.order(len(subjects), 2, generator(seed), subjects)
            for place, row in enumerate(order.tolist()):
                sides.setdefault(subjects[row], set()).add(place < number)
        assert all(len(side) == 1 for side in sides.values())


def test_a_class_whose_subjects_are_all_held_out_elsewhere_is_trained_on():
    split = HoldOut()
    order, number = split.order(4, 2, generator(), list("aabb"))
    held = {"aabb"[row] for row in order[:number].tolist()}
    assert split.order(3, 1, generator(), list(held) * 3)[1] == 0


def test_validation_samples_are_of_subjects_that_are_not_trained_on():
    rows = torch.arange(40, dtype=torch.float32)[:, None] / 40
    subjects = torch.arange(40) // 4
    training, held = hold_out(Samples(rows, None, subjects), 0.2, Stream(0))
    assert len(held) == 8
    assert training.subjects is not None
    assert held.subjects is not None
    assert not set(training.subjects.tolist()) & set(held.subjects.tolist())
    with pytest.raises(InvalidInputError, match="whose subjects stay whole"):
        hold_out(Samples(rows, None, torch.zeros(40, dtype=torch.int64)), 0.2, Stream(0))


def test_a_fit_hands_on_whose_its_samples_are(monkeypatch):
    seen: list[Samples] = []

    def spied(samples: Samples, fraction: float, stream: Stream) -> tuple[Samples, Samples]:
        seen.extend(parts := hold_out(samples, fraction, stream))
        return parts[0], parts[1]

    monkeypatch.setattr("riemaug.training.loop.hold_out", spied)
    names = tuple(f"s{row // 3}" for row in range(12))
    rows = TrainingRows("a", torch.rand(12, 9, generator=generator()), names, names)
    fit_model(
        (rows,),
        ModelConfig(kind="vae", data_dim=9, latent_dim=2),
        TrainingConfig(max_epochs=2, monitor="validation", validation_fraction=0.3),
        seed=0,
    )
    trained, held = ({*part.subjects.tolist()} for part in seen)
    assert (len(trained), len(held)) == (3, 1)
    assert not trained & held
