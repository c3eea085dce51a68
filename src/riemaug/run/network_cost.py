"""What a sample costs in each network: products and values kept, counted on shapes without memory."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from riemaug.class_model import NO_NETWORKS, Networks
from riemaug.models import ModelConfig
from riemaug.models.build import shapes_of_networks

INPUTS = {"encoder": "data_dim", "decoder": "latent_dim", "metric_network": "data_dim"}


@dataclass(frozen=True)
class Cost:
    """Of one sample in one forward pass of one network.

    Attributes
    ----------
    products : float
        Multiplications with a weight.
    values : float
        Numbers that its layers give out.
    """

    products: float
    values: float


@dataclass(frozen=True)
class ModelCost:
    """Of a whole model: its trainable weights and the passes of one sample."""

    num_weights: int
    encoder: Cost
    decoder: Cost
    metric: Cost


def cost_of(config: ModelConfig, networks: Networks = NO_NETWORKS) -> ModelCost:
    """Return what a model of this configuration costs, with the user's own networks if there are any."""
    if config.network == "custom":
        model = networks.build(config)
        modules = {name: getattr(model, name) for name in INPUTS if hasattr(model, name)}
        num_weights = sum(weight.numel() for weight in model.parameters())
    else:
        modules, num_weights = shapes_of_networks(config), config.num_parameters()
    costs = {
        name: _one_pass(module, getattr(config, INPUTS[name]), config) for name, module in modules.items()
    }
    return ModelCost(
        num_weights, costs["encoder"], costs["decoder"], costs.get("metric_network", Cost(0.0, 0.0))
    )


@torch.no_grad()
def _one_pass(module: nn.Module, width: int, config: ModelConfig) -> Cost:
    device, was_training = next(module.parameters()).device, module.training
    row = torch.zeros(1, width, device=device)
    features = torch.zeros(1, config.num_conditions, device=device) if config.num_conditions else None
    layers: list[Cost] = []
    if config.network == "mlp":  # no pass is needed; PyTorch's first one on the meta device takes seconds
        dense = [layer for layer in module.modules() if isinstance(layer, nn.Linear)]
        return _sum([Cost(float(layer.weight.numel()), float(layer.out_features)) for layer in dense])
    module.eval()
    with _counting(module, layers):
        module(row, features)
    module.train(was_training)
    return _sum(layers)


def _sum(layers: Sequence[Cost]) -> Cost:
    return Cost(sum(layer.products for layer in layers), sum(layer.values for layer in layers))


@contextmanager
def _counting(module: nn.Module, costs: list[Cost]) -> Iterator[None]:
    """Note the cost of each layer with weights, in the passes of one sample through the block."""

    def note(layer: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        if isinstance(output, Tensor) and isinstance(inputs[0], Tensor):
            uses = _places(layer, inputs[0], output)
            weights = sum(weight.numel() for weight in layer.parameters(recurse=False) if weight.dim() > 1)
            costs.append(Cost(float(uses * weights), float(output.numel())))

    layers = [layer for layer in module.modules() if next(layer.parameters(recurse=False), None) is not None]
    handles = [layer.register_forward_hook(note) for layer in layers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _places(layer: nn.Module, before: Tensor, after: Tensor) -> int:
    """Return how many times a layer uses each of its weights for one sample."""
    if isinstance(layer, nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d):
        return before[0, 0].numel()
    if isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Conv3d):
        return after[0, 0].numel()
    return 1
