"""A labelled data set in memory, and what must be known to write samples in the user's own format."""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Int64, Shaped

from riemaug.data.blocks import row_blocks
from riemaug.errors import InvalidInputError

_IMAGE_SUFFIXES = (".png", ".tiff")


@dataclass(frozen=True)
class SampleFormat:
    """All that is needed to write samples as the input was.

    Parameters
    ----------
    kind : {"folder", "arrays"}
        Image files, or one npz file.
    shape : tuple of int
        Shape of one sample as it is written: (H, W), (H, W, 3), or any shape for arrays.
    dtype : str
        numpy name of the input's dtype: "uint8", "uint16", "float32", ...
    suffix : str
        Suffix of the files to write: ".png" or ".tiff"; "" for arrays.
    array_keys : tuple of str, optional
        Names of the samples and of the labels in the npz file; None for folders.
    grey_as_rgb : bool
        The input's colour files are grey in content: modelled as (H, W), written as RGB.
    """

    kind: Literal["folder", "arrays"]
    shape: tuple[int, ...]
    dtype: str
    suffix: str
    array_keys: tuple[str, str] | None
    grey_as_rgb: bool

    @property
    def model_shape(self) -> tuple[int, ...]:
        """Shape of one sample as it is modelled: without the colour axis if that carries nothing."""
        return self.shape[:2] if self.grey_as_rgb else self.shape

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON types."""
        fields = asdict(self)
        fields["shape"] = list(self.shape)
        fields["array_keys"] = None if self.array_keys is None else list(self.array_keys)
        return fields

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "SampleFormat":
        """Return the format that `to_dict` described.

        Raises
        ------
        InvalidInputError
            A field is missing, unknown, or holds what no format can have.
        """
        try:
            keys = fields["array_keys"]
            fmt = cls(
                kind=fields["kind"],
                shape=tuple(fields["shape"]),
                dtype=fields["dtype"],
                suffix=fields["suffix"],
                array_keys=None if keys is None else tuple(keys),
                grey_as_rgb=fields["grey_as_rgb"],
            )
        except (KeyError, TypeError) as error:
            raise InvalidInputError(f"a sample format lacks or misstates a field: {error}") from None
        fmt._check()
        return fmt

    def _check(self) -> None:
        # the description may come from a model folder that someone else made
        folder_ok = self.suffix in _IMAGE_SUFFIXES and self.array_keys is None
        keys_ok = isinstance(self.array_keys, tuple) and [type(k) for k in self.array_keys] == [str, str]
        rules = {
            "kind": self.kind in ("folder", "arrays"),
            "shape": bool(self.shape) and all(type(side) is int and side > 0 for side in self.shape),
            "dtype": _is_real_dtype(self.dtype),
            "suffix and array_keys": folder_ok if self.kind == "folder" else (self.suffix == "" and keys_ok),
            "grey_as_rgb": self.grey_as_rgb in (True, False)
            and (not self.grey_as_rgb or (len(self.shape) == 3 and self.shape[2] == 3)),
        }
        for name, holds in rules.items():
            if not holds:
                raise InvalidInputError(f"a sample format has an impossible {name}: {self.to_dict()}")


def _is_real_dtype(name: object) -> bool:
    if not isinstance(name, str):
        return False
    try:
        dtype = np.dtype(name)
    except TypeError:
        return False
    return dtype.kind in "biuf" and dtype.name == name


@dataclass(frozen=True, eq=False)
class Dataset:
    """A labelled data set in memory.

    Parameters
    ----------
    samples : ndarray (n, *model_shape)
        The samples in the input's dtype.
    labels : ndarray (n,) of int64
        Index of each sample's class in `class_names`.
    class_names : tuple of str
        The classes, sorted (by value where labels are numbers).
    names : tuple of str
        Where each sample comes from: file path relative to the data folder, or "row 17".
    groups : tuple of str or None
        The subject (or other unit that must not be split) of each sample, if known.
    format : SampleFormat
        How to write samples like these.
    label_values : ndarray or None
        For arrays: the original label of each class, to write labels of the same dtype.
    notes : tuple of str
        Sentences for the user: what was skipped, converted, recognised or suspected.
    """

    samples: Shaped[np.ndarray, "n *shape"]
    labels: Int64[np.ndarray, " n"]
    class_names: tuple[str, ...]
    names: tuple[str, ...]
    groups: tuple[str, ...] | None
    format: SampleFormat
    label_values: np.ndarray | None
    notes: tuple[str, ...]

    def of_class(self, index: int) -> Shaped[np.ndarray, "m *shape"]:
        """Return the samples of the class `class_names[index]`, in the order of the data set."""
        return self.samples[self.labels == index]

    @property
    def counts(self) -> tuple[int, ...]:
        """Number of samples of each class, in the order of `class_names`."""
        found = np.bincount(self.labels, minlength=len(self.class_names))
        return tuple(int(count) for count in found)

    def fingerprint(self) -> str:
        """Return a SHA-256 (hex) of samples, labels, class names and dtype; the same on any machine."""
        digest = hashlib.sha256()
        head = [self.samples.dtype.name, list(self.samples.shape), list(self.class_names)]
        digest.update(json.dumps(head).encode())
        little = self.samples.dtype.newbyteorder("<")
        for rows in row_blocks(self.samples.shape):
            block = self.samples[rows].astype(little, order="C", copy=False)
            digest.update(np.ascontiguousarray(block).tobytes())
        digest.update(self.labels.astype("<i8").tobytes())
        return digest.hexdigest()
