"""Training of the classifiers that judge samples."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from riemaug.random import Stream

PREDICT_CHUNK = 1000

BatchTransform = Callable[[Tensor, Tensor, torch.Generator], tuple[Tensor, Tensor]]
"""Random change of a training batch: images (b, C, *sides) and class shares (b, classes) to the same."""


@dataclass(frozen=True)
class ClassifierTraining:
    """Adam on cross-entropy; stops when the loss on held-back samples no longer falls.

    Attributes
    ----------
    learning_rate, batch_size, max_epochs, patience
    validation_share : float
        Share of the training samples that is held back to decide when to stop, where no validation samples
        are given.
    """

    learning_rate: float = 1e-3
    batch_size: int = 64
    max_epochs: int = 50
    patience: int = 5
    validation_share: float = 0.2


@dataclass(frozen=True)
class ClassifierHistory:
    """How a training went.

    Attributes
    ----------
    epochs : int
        Epochs run.
    best_epoch : int
        The one whose weights were kept, from 1.
    best_loss : float
        Mean cross-entropy of the validation samples then.
    """

    epochs: int
    best_epoch: int
    best_loss: float


def fit_classifier(
    model: nn.Module,
    images: Float[Tensor, "n ..."],
    labels: Int[Tensor, " n"],
    stream: Stream,
    config: ClassifierTraining | None = None,
    validation: tuple[Tensor, Tensor] | None = None,
    transform: BatchTransform | None = None,
) -> ClassifierHistory:
    """Train `model` in place and leave it in eval mode with its best weights.

    Parameters
    ----------
    images, labels : Tensor (n, ...), (n,)
        As the model takes them.
    stream : Stream
        Draws the held-back samples, the batches and the transforms.
    config : ClassifierTraining, optional
    validation : (Tensor, Tensor), optional
        Images and labels to decide when to stop; by default some of the training samples are held back.
    transform : callable, optional
        Changes each training batch at random.

    Returns
    -------
    ClassifierHistory
    """
    config = config or ClassifierTraining()
    if validation is None:
        order = torch.randperm(len(images), generator=stream.child("split").generator())
        held_back, kept = order.tensor_split([max(1, int(config.validation_share * len(images)))])
        validation = images[held_back], labels[held_back]
        images, labels = images[kept], labels[kept]
    targets = _targets(model, images, labels, transform)
    optimizer = _optimizer(model, config)
    best_loss, best_weights, best_epoch, epoch = float("inf"), _copy_state(model), 0, 0
    for epoch in range(1, config.max_epochs + 1):
        _run_epoch(model, optimizer, images, targets, stream.block(epoch - 1), config.batch_size, transform)
        loss = float(functional.nll_loss(predict_log_probabilities(model, validation[0]), validation[1]))
        if loss < best_loss:
            best_loss, best_weights, best_epoch = loss, _copy_state(model), epoch
        if epoch - best_epoch >= config.patience:
            break
    model.load_state_dict(best_weights)
    model.eval()
    return ClassifierHistory(epoch, best_epoch, best_loss)


def repeat_training(
    model: nn.Module,
    images: Float[Tensor, "n ..."],
    labels: Int[Tensor, " n"],
    stream: Stream,
    epochs: int,
    config: ClassifierTraining | None = None,
    transform: BatchTransform | None = None,
) -> None:
    """Train `model` in place for a known number of epochs and leave it in eval mode with its last weights.

    Nothing is held back: the number comes from `fit_classifier` on a part of the samples.

    Parameters
    ----------
    images, labels : Tensor (n, ...), (n,)
        As the model takes them.
    stream : Stream
        Draws the batches and the transforms.
    epochs : int
    config : ClassifierTraining, optional
        Learning rate and batch size.
    transform : callable, optional
        Changes each training batch at random.
    """
    config = config or ClassifierTraining()
    targets, optimizer = _targets(model, images, labels, transform), _optimizer(model, config)
    for epoch in range(epochs):
        _run_epoch(model, optimizer, images, targets, stream.block(epoch), config.batch_size, transform)
    model.eval()


@torch.no_grad()
def predict_log_probabilities(model: nn.Module, images: Float[Tensor, "n ..."]) -> Float[Tensor, "n classes"]:
    """Return the log class probabilities of images, (n, classes), in eval mode."""
    model.eval()
    return torch.cat([functional.log_softmax(model(part), -1) for part in images.split(PREDICT_CHUNK)])


def accuracy(model: nn.Module, images: Float[Tensor, "n ..."], labels: Int[Tensor, " n"]) -> float:
    """Return the share of images given their right label, in [0, 1]."""
    return float((predict_log_probabilities(model, images).argmax(-1) == labels).float().mean())


def _targets(
    model: nn.Module, images: Float[Tensor, "n ..."], labels: Tensor, transform: BatchTransform | None
) -> Tensor:
    """Return the labels, or where transforms may mix them the share of each class."""
    if transform is None:
        return labels
    num_classes = predict_log_probabilities(model, images[:1]).shape[1]
    return functional.one_hot(labels.long(), num_classes).float()


def _optimizer(model: nn.Module, config: ClassifierTraining) -> torch.optim.Adam:
    return torch.optim.Adam(model.parameters(), lr=config.learning_rate, fused=True)


def _run_epoch(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    images: Float[Tensor, "n ..."],
    targets: Tensor,
    stream: Stream,
    batch_size: int,
    transform: BatchTransform | None,
) -> None:
    model.train()
    order = torch.randperm(len(images), generator=stream.generator())
    noise = stream.child("transform").generator()
    # equal batches: a last one of a single image would leave batch norm without a variance
    for batch in order.tensor_split(max(1, -(-len(order) // batch_size))):
        inputs, shares = images[batch], targets[batch]
        if transform is not None:
            inputs, shares = transform(inputs, shares, noise)
        optimizer.zero_grad(set_to_none=True)
        functional.cross_entropy(model(inputs), shares).backward()
        optimizer.step()


def _copy_state(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
