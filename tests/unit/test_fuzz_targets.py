"""The fuzz targets over every file of the corpus, faults of the past among them, and over changed ones."""

import random
import warnings
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("nibabel")
pytest.importorskip("pydicom")
pytest.importorskip("pandas")

from fuzz.editing import as_json, edited
from fuzz.running import CORPUS, mutated, run_one
from fuzz.targets import TARGETS

NAMES = sorted(TARGETS)


@pytest.fixture(autouse=True)
def _quiet() -> None:
    warnings.simplefilter("ignore")  # of libraries, about damaged files


def corpus(name: str) -> list[Path]:
    return sorted((CORPUS / name).iterdir())


@pytest.mark.parametrize("name", NAMES)
def test_nothing_in_the_corpus_is_a_fault(name: str) -> None:
    for path in corpus(name):
        run_one(TARGETS[name], path.read_bytes())


@pytest.mark.parametrize("name", NAMES)
def test_a_target_takes_what_is_right(name: str) -> None:
    """A target that refuses everything would find no fault."""
    accepted = 0
    for path in corpus(name):
        try:
            TARGETS[name].target(path.read_bytes())
        except Exception:
            continue
        accepted += 1
    assert accepted >= 2


@pytest.mark.parametrize("name", NAMES)
@given(data=st.binary(max_size=200), seed=st.integers(0, 2**32 - 1))
@settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_other_bytes_are_refused_or_read(name: str, data: bytes, seed: int) -> None:
    draw, module = random.Random(seed), TARGETS[name]
    run_one(module, data)
    run_one(module, mutated(draw.choice(corpus(name)).read_bytes(), draw))


@given(data=st.binary(max_size=64))
def test_edits_leave_a_document_that_json_holds(data: bytes) -> None:
    document = {"a": [1, {"b": None}], "c": "d"}
    assert edited(document, b"") == document
    assert as_json(document, data)
    assert document == {"a": [1, {"b": None}], "c": "d"}
