"""The generator of a class: what it holds of its own, and what it shares with the model."""

import torch

from riemaug.class_model import TrainingRows, fit_model
from riemaug.models import RHVAE, ModelConfig
from riemaug.training import TrainingConfig


def test_the_metric_of_a_class_is_its_own_so_that_the_models_stays_on_its_device() -> None:
    data = torch.rand(6, 4, generator=torch.Generator().manual_seed(0))
    classes = [TrainingRows(name, data + 0.1 * i, tuple("abcdef")) for i, name in enumerate("xy")]
    config = ModelConfig(data_dim=4, num_conditions=2, encoder_hidden=(5,), metric_hidden=(4,))
    fitted = fit_model(classes, config, TrainingConfig(max_epochs=2), 0)
    for group, item in enumerate(fitted):
        assert isinstance(item.model, RHVAE)
        assert item.metric is not None
        stored = item.model.metric_of_group(group)
        assert item.metric is not stored
        for own, other in zip(item.metric.buffers(), stored.buffers(), strict=True):
            assert torch.equal(own, other)
            assert own.data_ptr() != other.data_ptr()
