"""What is held out where samples belong to subjects: whole subjects, and no more than was asked for."""

import time

import numpy as np
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
from riemaug.training.holding_out import held_out_subjects


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9)), min_size=2, max_size=40),
    st.sets(st.integers(0, 2)),
    st.integers(0, 99),
)
def test_a_subject_is_whole_and_every_class_keeps_its_share(
    rows: list[tuple[int, int]], classes: set[int], seed: int
) -> None:
    labels, subjects = np.array([label for label, _ in rows]), [subject for _, subject in rows]
    held = held_out_subjects(labels, 0.2, Stream(seed), subjects, classes)
    names = np.array(subjects)
    assert not {*names[held].tolist()} & {*names[~held].tolist()}
    for label in set(labels.tolist()):
        own = labels == label
        number = int((held & own).sum())
        sizes = np.unique(names[own], return_counts=True)[1]
        assert number <= max(round(0.2 * int(own.sum())), int(sizes.min()))
        assert number < own.sum()
        if label not in classes:
            assert number == 0


def test_many_subjects_of_one_sample_take_no_time():
    begin = time.process_time()
    held = held_out_subjects(
        np.zeros(50_000, dtype=np.int64), 0.2, Stream(0), [str(i) for i in range(50_000)]
    )
    assert held.sum() == 10_000
    assert time.process_time() - begin < 10.0


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
