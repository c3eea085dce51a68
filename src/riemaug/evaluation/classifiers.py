"""Classifiers that judge samples: trained on real or synthetic images, tested on real ones."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import skip_init

from riemaug.random import Stream

PREDICT_CHUNK = 1000


class SmallCNN(nn.Module):
    """Two 3x3 convolutions (16, 32 channels) with batch norm, ReLU and 2x2 pooling, and a dense layer.

    Parameters
    ----------
    image_shape : (int, int)
        Height and width, at least 4 each; grey images.
    num_classes : int
    stream : Stream
        Draws the initial weights.
    """

    def __init__(self, image_shape: tuple[int, int], num_classes: int, stream: Stream) -> None:
        super().__init__()
        height, width = image_shape
        # the layers' own initialisation would draw from the global generator
        self.layers = nn.Sequential(
            skip_init(nn.Conv2d, 1, 16, 3, padding=1),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.MaxPool2d(2),
            skip_init(nn.Conv2d, 16, 32, 3, padding=1),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            skip_init(nn.Linear, 32 * (height // 4) * (width // 4), num_classes),
        )
        _draw_weights(self, stream.child("weights").generator())

    def forward(self, images: Float[Tensor, "n H W"]) -> Float[Tensor, "n classes"]:
        """Return the logits of images in [0, 1], (n, classes)."""
        return self.layers(images[:, None])

    def features(self, images: Float[Tensor, "n H W"]) -> Float[Tensor, "n width"]:
        """Return what the last dense layer sees of images in [0, 1], (n, width)."""
        return self.layers[:-1](images[:, None])


@dataclass(frozen=True)
class ClassifierTraining:
    """Adam on cross-entropy; stops when the loss on held-back training images no longer falls.

    Attributes
    ----------
    learning_rate, batch_size, max_epochs, patience
    validation_share : float
        Share of the training images that is held back to decide when to stop.
    """

    learning_rate: float = 1e-3
    batch_size: int = 64
    max_epochs: int = 50
    patience: int = 5
    validation_share: float = 0.2


def fit_classifier(
    model: nn.Module,
    images: Float[Tensor, "n ..."],
    labels: Int[Tensor, " n"],
    stream: Stream,
    config: ClassifierTraining | None = None,
) -> None:
    """Train `model` in place and leave it in eval mode with its best weights.

    Parameters
    ----------
    images, labels : Tensor (n, ...), (n,)
    stream : Stream
        Draws the held-back images and the batches.
    """
    config = config or ClassifierTraining()
    order = torch.randperm(len(images), generator=stream.child("split").generator())
    held_back, kept = order.tensor_split([max(1, int(config.validation_share * len(images)))])
    optimizer = torch.optim.Adam(model.parameters(), lr=config.learning_rate, fused=True)
    best_loss, best_weights, since_best = float("inf"), _copy_state(model), 0
    for epoch in range(config.max_epochs):
        _run_epoch(model, optimizer, images[kept], labels[kept], stream.block(epoch), config.batch_size)
        loss = float(
            functional.nll_loss(predict_log_probabilities(model, images[held_back]), labels[held_back])
        )
        since_best += 1
        if loss < best_loss:
            best_loss, best_weights, since_best = loss, _copy_state(model), 0
        if since_best >= config.patience:
            break
    model.load_state_dict(best_weights)
    model.eval()


@torch.no_grad()
def predict_log_probabilities(model: nn.Module, images: Float[Tensor, "n ..."]) -> Float[Tensor, "n classes"]:
    """Return the log class probabilities of images, (n, classes), in eval mode."""
    model.eval()
    return torch.cat([functional.log_softmax(model(part), -1) for part in images.split(PREDICT_CHUNK)])


def accuracy(model: nn.Module, images: Float[Tensor, "n ..."], labels: Int[Tensor, " n"]) -> float:
    """Return the share of images given their right label, in [0, 1]."""
    return float((predict_log_probabilities(model, images).argmax(-1) == labels).float().mean())


def _run_epoch(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    images: Float[Tensor, "n ..."],
    labels: Int[Tensor, " n"],
    stream: Stream,
    batch_size: int,
) -> None:
    model.train()
    order = torch.randperm(len(images), generator=stream.generator())
    # equal batches: a last one of a single image would leave batch norm without a variance
    for batch in order.tensor_split(max(1, -(-len(order) // batch_size))):
        optimizer.zero_grad(set_to_none=True)
        functional.cross_entropy(model(images[batch]), labels[batch]).backward()
        optimizer.step()


def _draw_weights(model: nn.Module, generator: torch.Generator) -> None:
    """Draw the weights by PyTorch's usual uniform law, from an explicit generator."""
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            bound = layer.weight[0].numel() ** -0.5
            nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
            if layer.bias is not None:
                nn.init.uniform_(layer.bias, -bound, bound, generator=generator)


def _copy_state(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
