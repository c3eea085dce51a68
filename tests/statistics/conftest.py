"""Laws of samplers take many draws: they are tested in the slow tier.

In the fast one `tests/contract/test_public_checks_of_samplers.py` looks at each sampler's law with fewer.
"""

from pathlib import Path

import pytest

_HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(_HERE):
            item.add_marker(pytest.mark.slow)
