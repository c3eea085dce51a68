"""A fitted estimator, one thread, and a way round the check of types that only tests have."""

from collections.abc import Iterator

import jaxtyping
import pytest

from riemaug.augmentor import Augmentor
from riemaug.parallel import one_thread
from tests.contract.small import digits, quick


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    with one_thread():
        yield


@pytest.fixture
def unchecked() -> Iterator[None]:
    """Switch off the check of types that only tests have: to pass what a user might, or to walk fast."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(scope="session")
def fitted() -> Augmentor:
    return quick(max_epochs=30).fit(*digits())
