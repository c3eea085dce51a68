"""PyTorch's forward-mode differentiation, made ready for use."""

import warnings
from functools import cache

import torch


@cache
def load_forward_mode() -> None:
    """Let PyTorch load its rules of forward mode, which it does at the first use, by a deprecated call."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.func.jvp(torch.neg, (torch.zeros(()),), (torch.ones(()),))
