"""What the networks are told beside the data: class labels, parameters of a transform."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Condition:
    """What is known of each sample of a batch.

    Attributes
    ----------
    features : Tensor (n, c)
        What encoder and decoder see beside x and z: the one-hot class, then the parameters of a
        training-time transform (zero for none).
    group : Tensor (n,), int64
        The class. A sample's metric is made of the kernels of its own group alone.
    """

    features: Float[Tensor, "n c"]
    group: Int[Tensor, " n"]

    def __getitem__(self, rows: Tensor | slice) -> "Condition":
        """Return the condition of some of the samples."""
        return Condition(self.features[rows], self.group[rows])

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.group)

    def to(self, device: torch.device | str) -> "Condition":
        """Return the same on another device."""
        return Condition(self.features.to(device), self.group.to(device))

    def with_features(self, extra: Float[Tensor, "n more"]) -> "Condition":
        """Return the condition with further features behind the present ones."""
        return Condition(torch.cat([self.features, extra.to(self.features)], 1), self.group)


def features_of(condition: Condition | None) -> Float[Tensor, "n c"] | None:
    """Return the features of a condition, None of none."""
    return None if condition is None else condition.features


def class_condition(
    labels: Int[Tensor, " n"], num_classes: int, num_parameters: int = 0, dtype: torch.dtype = torch.float32
) -> Condition:
    """Return the condition of samples of these classes, without any transform.

    Parameters
    ----------
    labels : Tensor (n,), int64
        Index of each sample's class.
    num_classes : int
    num_parameters : int
        So many transform parameters follow, all zero.
    """
    features = torch.zeros(len(labels), num_classes + num_parameters, dtype=dtype, device=labels.device)
    features[torch.arange(len(labels), device=labels.device), labels] = 1.0
    return Condition(features, labels)


def gather_conditions(parts: Sequence[Condition]) -> Condition:
    """Return the conditions of several batches as one."""
    return Condition(torch.cat([part.features for part in parts]), torch.cat([part.group for part in parts]))
