import numpy as np
import pytest
from tests import report_records as records

from riemaug.report import ClassReport

# Records are frozen, so that all tests may share them: a test that needs another one replaces fields.


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def latent():
    return records.latent_map(np.random.default_rng(1))


@pytest.fixture(scope="session")
def image_class():
    return records.image_class(np.random.default_rng(2))


@pytest.fixture(scope="session")
def color_class():
    return records.color_class(np.random.default_rng(3))


@pytest.fixture(scope="session")
def table_class():
    return ClassReport(name="no pictures", num_real=3, num_synthetic=7)


@pytest.fixture(scope="session")
def report(image_class, color_class, table_class):
    return records.report(image_class, color_class, table_class)
