"""One thread, as several only slow such small products down."""

from collections.abc import Iterator

import pytest

from riemaug.parallel import one_thread


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    with one_thread():
        yield
