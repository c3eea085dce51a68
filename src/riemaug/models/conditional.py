"""The "conditional" preset: one model of all classes, told of the class; sized from shape and amount."""

import math

from riemaug.models.config import ModelConfig, conv_model
from riemaug.models.defaults import BANDWIDTH_FACTOR
from riemaug.training.config import TrainingConfig

CONDITIONAL_LATENT_DIM = 8
BATCH_SIZE, PATIENCE = 200, 20
MOST_CHANNELS_OF_DATA = 4
"""An axis of at most this length beside two or three longer ones holds channels."""
LEAST_CONV_SIDE = 2


def conditional_model(
    shape: tuple[int, ...], channel_axis: int | None, num_classes: int, class_sizes: tuple[int, ...]
) -> ModelConfig:
    """Return the model that all classes share, an RHVAE.

    Parameters
    ----------
    shape : tuple of int
        Of one sample, as the user has it.
    channel_axis : int or None
        See `channel_axis_of`.
    num_classes : int
        1 gives the same networks, told of nothing.
    class_sizes : tuple of int
        Training samples of each class.
    """
    data_dim = math.prod(shape)
    told = num_classes if num_classes > 1 else 0
    latent_dim = min(CONDITIONAL_LATENT_DIM, data_dim)
    if has_sides(shape, channel_axis):
        model = conv_model(shape, channel_axis, "rhvae", latent_dim, told)
    else:
        model = ModelConfig(data_dim=data_dim, latent_dim=latent_dim, num_conditions=told)
    return model.model_copy(update={"bandwidth_factor": BANDWIDTH_FACTOR})


def channel_axis_of(shape: tuple[int, ...]) -> int | None:
    """Return which axis of a sample's shape holds channels, None if none does.

    That is the last axis, or else the first, if it is at most `MOST_CHANNELS_OF_DATA` long and two or
    three others remain.
    """
    if len(shape) not in (3, 4):
        return None
    for axis in (len(shape) - 1, 0):
        if shape[axis] <= MOST_CHANNELS_OF_DATA:
            return axis
    return None


def has_sides(shape: tuple[int, ...], channel_axis: int | None) -> bool:
    """Return whether samples are images or volumes, which convolutions suit."""
    sides = [side for axis, side in enumerate(shape) if channel_axis is None or axis != channel_axis]
    return len(sides) in (2, 3) and min(sides) >= LEAST_CONV_SIDE


def conditional_training(class_sizes: tuple[int, ...]) -> TrainingConfig:
    """Return how the model that classes of these sizes share is trained."""
    return TrainingConfig(batch_size=BATCH_SIZE, patience=PATIENCE)
