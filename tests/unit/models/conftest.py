"""Small models; one thread, as several only slow such small products down."""

from collections.abc import Callable, Iterator

import pytest
import torch

from riemaug.models import LatentModel, ModelConfig, build_model
from riemaug.parallel import one_thread


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    with one_thread():
        yield


@pytest.fixture
def small_model() -> Callable[..., LatentModel]:
    """Build a model over 12 features from changes to a small configuration."""

    def build(seed: int = 0, **changes: object) -> LatentModel:
        values: dict = {
            "data_dim": 12,
            "encoder_hidden": (9,),
            "decoder_hidden": (8,),
            "metric_hidden": (7,),
        }
        return build_model(ModelConfig(**(values | changes)), seed)

    return build


@pytest.fixture
def unit_data() -> torch.Tensor:
    """Give 10 rows of 12 features in [0, 1]."""
    return torch.rand(10, 12, generator=torch.Generator().manual_seed(3))
