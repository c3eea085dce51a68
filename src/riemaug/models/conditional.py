"""The "conditional" preset: one model of all classes, told of the class; sized from shape and amount."""

import math

from riemaug.models.config import ModelConfig, conv_model
from riemaug.models.defaults import default_latent_dim
from riemaug.training.config import TrainingConfig

FIRST_CHANNELS, DENSE_WIDTH = 16, 128
"""Of the convolutional networks, at most; small ones, as there are hundreds of samples, not thousands."""
DENSE_DECODER_UP_TO, DECODER_WIDTH = 4096, 400
"""Images of at most so many features get a decoder of one hidden layer: in as many steps it comes closer to
them than transposed convolutions do, which leave patterns of their own, at a quarter of the cost."""
FLOW_STEPS = 1
"""Leapfrog steps: with convolutions each costs as much as several steps of a plain VAE."""
BANDWIDTH_FACTOR = 0.6
"""T in median distances of a centroid to its nearest neighbour."""
BATCH_SIZE = 100
TRAINING_STEPS, LEAST_EPOCHS = 2000, 50
SMALL_IMAGE_STEPS = 4000
"""Of images with a dense decoder, whose steps cost little."""
IMAGE_RATE = 3e-3
"""Learning rate of images: at 1e-3 the same quality takes three times the steps."""
VOLUME_STEPS, VOLUME_RATE = 700, 2e-3
"""Of volumes: a step costs many times more, and at the usual rate so few of them leave grey blurs."""
PLAIN_SHARE, DECAY_SHARE = 0.92, 0.3
"""Most of the training is a plain VAE's; the flow, and with it the metric, is learned at its end."""
MOST_CHANNELS_OF_DATA = 4
"""An axis of at most this length beside two or three others holds channels, where nothing else says so."""
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
    latent_dim = default_latent_dim(data_dim)
    if has_sides(shape, channel_axis):
        model = conv_model(shape, channel_axis, "rhvae", latent_dim, told)
        network = {
            "conv_channels": min(FIRST_CHANNELS, model.conv_channels),
            "encoder_hidden": (DENSE_WIDTH,),
            "decoder_hidden": (DENSE_WIDTH,),
            "num_leapfrog_steps": FLOW_STEPS,
        }
        if is_small_image(shape, channel_axis):
            network |= {"dense_decoder": True, "decoder_hidden": (DECODER_WIDTH,)}
    else:
        model, network = ModelConfig(data_dim=data_dim, latent_dim=latent_dim, num_conditions=told), {}
    return model.model_copy(update={**network, "bandwidth_factor": BANDWIDTH_FACTOR})


def channel_axis_of(shape: tuple[int, ...], num_sides: int = 0) -> int | None:
    """Return which axis of a sample's shape holds channels, None if none does.

    That is the last axis, or else the first, if it is at most `MOST_CHANNELS_OF_DATA` long and two or three
    others remain. Where the number of sides is known and an axis is beyond them, it is one of these two in
    any case: the last, however long, where neither is so short.

    Parameters
    ----------
    shape : tuple of int
        Of one sample.
    num_sides : int
        How many axes are sides of a picture or volume, as `SampleFormat.num_sides` has it; 0 if unknown.
    """
    may_hold_channels = len(shape) > num_sides if num_sides else len(shape) in (3, 4)
    if not may_hold_channels:
        return None
    last = num_sides or len(shape) - 1
    short = [axis for axis in (last, 0) if shape[axis] <= MOST_CHANNELS_OF_DATA]
    return short[0] if short else num_sides or None


def sides_of(shape: tuple[int, ...], num_sides: int = 0) -> tuple[int, ...]:
    """Return the sides of an image or a volume: the axes of its shape but that of the channels."""
    channels = channel_axis_of(shape, num_sides)
    return tuple(side for axis, side in enumerate(shape) if channels is None or axis != channels)


def has_sides(shape: tuple[int, ...], channel_axis: int | None) -> bool:
    """Return whether samples are images or volumes, which convolutions suit."""
    sides = [side for axis, side in enumerate(shape) if channel_axis is None or axis != channel_axis]
    return len(sides) in (2, 3) and min(sides) >= LEAST_CONV_SIDE


def is_small_image(shape: tuple[int, ...], channel_axis: int | None) -> bool:
    """Return whether samples are images that a dense decoder suits."""
    return len(shape) - (channel_axis is not None) == 2 and math.prod(shape) <= DENSE_DECODER_UP_TO


def usual_epochs(shape: tuple[int, ...], channel_axis: int | None, num_samples: int) -> int:
    """Return after how many passes over so many samples of a shape training ends."""
    if is_small_image(shape, channel_axis):
        wanted = SMALL_IMAGE_STEPS
    else:
        wanted = VOLUME_STEPS if len(shape) - (channel_axis is not None) == 3 else TRAINING_STEPS
    return max(LEAST_EPOCHS, math.ceil(wanted / math.ceil(num_samples / BATCH_SIZE)))


def conditional_training(
    shape: tuple[int, ...], channel_axis: int | None, class_sizes: tuple[int, ...]
) -> TrainingConfig:
    """Return how the model that classes of these sizes share is trained: a fixed number of steps.

    The ELBO of batches is too noisy to stop by, and the learning rate falls towards an end that must be
    known.
    """
    epochs = usual_epochs(shape, channel_axis, sum(class_sizes))
    rates = {2: IMAGE_RATE, 3: VOLUME_RATE}
    rate = rates.get(len(shape) - (channel_axis is not None), TrainingConfig().learning_rate)
    return TrainingConfig(
        learning_rate=rate,
        batch_size=BATCH_SIZE,
        max_epochs=epochs,
        patience=epochs,
        plain_share=PLAIN_SHARE,
        decay_share=DECAY_SHARE,
    )
