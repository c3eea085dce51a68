"""From a configuration to networks and models."""

import torch

from riemaug.errors import InvalidInputError
from riemaug.models.config import ModelConfig
from riemaug.models.convolutional import ConvDecoder, ConvTrunk, ImageLayout
from riemaug.models.layers import Draw
from riemaug.models.networks import Decoder, Encoder, MetricNetwork, MLPDecoder, MLPTrunk, Trunk
from riemaug.random import Stream


def _trunk(config: ModelConfig, hidden: tuple[int, ...], generator: Draw) -> Trunk:
    if config.network == "conv":
        layout = ImageLayout(config.data_shape, config.channel_axis)
        return ConvTrunk(layout, config.conv_channels, hidden[-1], config.num_conditions, generator)
    return MLPTrunk(config.data_dim, hidden, config.num_conditions, generator)


def _encoder(config: ModelConfig, generator: Draw) -> Encoder:
    return Encoder(_trunk(config, config.encoder_hidden, generator), config.latent_dim, generator)


def _decoder(config: ModelConfig, generator: Draw) -> Decoder:
    if config.network == "conv" and not config.dense_decoder:
        layout = ImageLayout(config.data_shape, config.channel_axis)
        width = config.decoder_hidden[0]
        return ConvDecoder(
            config.latent_dim, layout, config.conv_channels, width, config.num_conditions, generator
        )
    return MLPDecoder(
        config.latent_dim, config.decoder_hidden, config.data_dim, config.num_conditions, generator
    )


def _metric_network(config: ModelConfig, generator: Draw) -> MetricNetwork:
    return MetricNetwork(_trunk(config, config.metric_hidden, generator), config.latent_dim, generator)


def build_pair(config: ModelConfig, stream: Stream) -> tuple[Encoder, Decoder]:
    """Return encoder and decoder with new weights, the same for every kind of model."""
    if config.network == "custom":
        raise InvalidInputError(
            "a model with networks of its own needs them, got none: pass encoder= and decoder="
        )
    generator = stream.child("weights").generator()
    return _encoder(config, generator), _decoder(config, generator)


def build_metric_network(config: ModelConfig, stream: Stream) -> MetricNetwork:
    """Return the RHVAE's metric network with new weights."""
    return _metric_network(config, stream.child("metric weights").generator())


def shapes_of_networks(config: ModelConfig) -> dict[str, torch.nn.Module]:
    """Return encoder, decoder and an RHVAE's metric network on the meta device: shapes without memory."""
    with torch.device("meta"):
        modules: dict[str, torch.nn.Module] = {
            "encoder": _encoder(config, None),
            "decoder": _decoder(config, None),
        }
        if config.kind == "rhvae":
            modules["metric_network"] = _metric_network(config, None)
    return modules


def count_parameters(config: ModelConfig) -> int:
    """Return the number of trainable weights; only shapes are made, on the meta device."""
    modules = shapes_of_networks(config).values()
    total = sum(weight.numel() for module in modules for weight in module.parameters())
    if config.kind == "vamp":
        total += config.num_pseudo_inputs * config.data_dim
    return total + (config.likelihood == "gaussian-learned")
