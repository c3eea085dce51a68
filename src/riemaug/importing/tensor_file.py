"""Reading `.pt` files of unknown origin: tensors come out, or one line; nothing in them is ever run."""

import pickle
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from riemaug.errors import InvalidInputError

_CONTENT_ERRORS = (
    pickle.UnpicklingError,
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    OverflowError,
    MemoryError,
    struct.error,
)
_ARCHIVE_ERRORS = (zipfile.BadZipFile, OSError, ValueError, RuntimeError, LookupError, struct.error)
TensorTree = Mapping[str, "Tensor | Mapping[str, Tensor]"]
"""Tensors by name, and mappings of such."""


def read_tensor_file(path: Path) -> TensorTree:
    """Return the tensors of a file that `torch.save` wrote.

    PyTorch's reader of weights alone is used, which builds tensors and plain containers and refuses to
    look up anything else. Before that the archive is checked, as a small one could unfold to any size.

    Parameters
    ----------
    path : Path

    Returns
    -------
    mapping of str to Tensor or to a mapping of str to Tensor
        On the CPU; finite real numbers.

    Raises
    ------
    InvalidInputError
        It is no such file, damaged, or holds anything but tensors of finite real numbers.
    """
    _check_archive(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except _CONTENT_ERRORS as error:
        raise InvalidInputError(
            f"a model's file may hold tensors alone, {str(path)!r} holds something else or is damaged: "
            "nothing of it was run; get it from its maker again"
        ) from error
    _check_tree(content, path)
    return content


def _check_archive(path: Path) -> None:
    """Refuse what is no archive of `torch.save`, or one whose parts are larger than the file."""
    rule = "a model's file must be an archive that torch.save of PyTorch 1.6 or later wrote"
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except _ARCHIVE_ERRORS as error:
        raise InvalidInputError(f"{rule}, {str(path)!r} is not ({error}): save the model again") from None
    unfolded = sum(entry.file_size for entry in entries)
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries) or unfolded > path.stat().st_size:
        raise InvalidInputError(
            f"{rule}, which compresses nothing, {str(path)!r} unfolds to {unfolded:,} bytes: save the model "
            "again"
        )


def _check_tree(content: object, path: Path, depth: int = 0) -> None:
    if not isinstance(content, Mapping):
        raise InvalidInputError(
            f"a model's file must hold tensors by name, {str(path)!r} holds a {type(content).__name__}: get "
            "the file from its maker again"
        )
    for name, value in content.items():
        if isinstance(value, Mapping) and depth == 0:
            _check_tree(value, path, depth + 1)
        elif not (isinstance(name, str) and isinstance(value, Tensor)):
            raise InvalidInputError(
                f"a model's file must hold tensors by name, {str(path)!r} has {name!r} of type "
                f"{type(value).__name__}: get the file from its maker again"
            )
        else:
            _check_tensor(name, value, path)


def _check_tensor(name: str, value: Tensor, path: Path) -> None:
    whole = value.layout is torch.strided and value.device.type == "cpu" and value.is_floating_point()
    # a tensor can be a view that repeats a few numbers as often as it likes
    if whole and value.numel() * value.element_size() > value.untyped_storage().nbytes():
        whole = False
    if not whole or not bool(value.isfinite().all()):
        raise InvalidInputError(
            f"a model's tensors must be arrays of finite real numbers, {name!r} of {str(path)!r} is not: get "
            "the file from its maker again"
        )
