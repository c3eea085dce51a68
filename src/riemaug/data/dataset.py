"""A labelled data set in memory, and what must be known to write samples in the user's own format."""

import hashlib
import json
import math
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
from jaxtyping import Int64, Shaped

from riemaug.data.bids_names import BidsNames
from riemaug.data.blocks import blocks_of, forget_pages
from riemaug.data.channels import channel_axis, channel_count, has_alpha, is_coloured, num_channels
from riemaug.data.grids import VolumeGrid
from riemaug.data.resolution import Resolution
from riemaug.data.table_layout import TableLayout
from riemaug.errors import InvalidInputError
from riemaug.limits import DEFAULT_LIMITS

_SUFFIXES = {
    "folder": (".png", ".tiff"),
    "stacks": (".tiff",),
    "npy": (".npy",),
    "volumes": (".nii.gz", ".nii"),
    "arrays": ("",),
    "table": (".csv", ".tsv", ".parquet"),
}
_NIFTI_DTYPES = frozenset(
    {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)} | {"float32", "float64"}
)
_LATER_FIELDS = frozenset({"opaque_alpha", "bids", "array_sides", "resolution"})
_MOST_NIFTI_AXES = 7
_LONGEST_NIFTI_1_SIDE = 2**15 - 1


@dataclass(frozen=True)
class SampleFormat:
    """All that is needed to write samples as the input was.

    Parameters
    ----------
    kind : {"folder", "stacks", "npy", "volumes", "arrays", "table"}
        Image files, multi-page TIFF files, npy files, NIfTI files, one npz file, or one table.
    shape : tuple of int
        Shape of one sample as it is written: (H, W) and (H, W, channels) of images, (Z, H, W) of stacks,
        two or three sides of npy files, (X, Y, Z) of volumes, any shape for arrays, or
        the number of numbers that stand for a row of a table.
    dtype : str
        numpy name of the input's dtype: "uint8", "uint16", "float32", ...; "float64" of tables.
    suffix : str
        Suffix of the files to write: ".png" or ".tiff"; ".npy"; ".nii.gz" or ".nii"; "" for arrays;
        ".csv", ".tsv" or ".parquet".
    array_keys : tuple of str, optional
        Names of the samples and of the labels in the npz file; None for folders.
    grey_as_rgb : bool
        The input's colour files are grey in content: modelled as (H, W), written as RGB.
    fit_shape : tuple of int, optional
        Sides of the samples as they are modelled, where these are not those of `shape`: (H, W) or
        (X, Y, Z).
    grid : VolumeGrid, optional
        Of volumes: affine, units and scale factor, written back as they were read.
    opaque_alpha : bool
        The input's alpha channels are opaque: modelled without, written with one.
    bids : BidsNames, optional
        Of volumes that are written as a BIDS derivative.
    table : TableLayout, optional
        Of a table: its columns, and the labels.
    array_sides : {2, 3}, optional
        Of arrays, where the user has told it: how many axes of a sample are sides; one more holds channels.
    resolution : Resolution, optional
        Of image files and stacks: how large pixels and voxels are, as all input files state it.
    """

    kind: Literal["folder", "stacks", "npy", "volumes", "arrays", "table"]
    shape: tuple[int, ...]
    dtype: str
    suffix: str
    array_keys: tuple[str, str] | None
    grey_as_rgb: bool
    fit_shape: tuple[int, ...] | None = None
    grid: VolumeGrid | None = None
    opaque_alpha: bool = False
    bids: BidsNames | None = None
    table: TableLayout | None = None
    array_sides: int | None = None
    resolution: Resolution | None = None

    @property
    def is_one_file(self) -> bool:
        """Whether all samples are written to one file, not each to a file of its own."""
        return self.kind in ("arrays", "table")

    @property
    def num_sides(self) -> int:
        """Number of axes that are sides of a picture or volume; 0 if unknown, as it mostly is of arrays."""
        known = {"folder": 2, "stacks": 3, "volumes": 3, "npy": len(self.shape), "arrays": self.array_sides}
        return known.get(self.kind) or 0

    @property
    def model_channels(self) -> int:
        """Number of channels of images as they are modelled; 1 of all else."""
        if self.kind != "folder":
            return 1
        written = num_channels(self.shape)
        coloured = is_coloured(written) and not self.grey_as_rgb
        return channel_count(coloured, has_alpha(written) and not self.opaque_alpha)

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """Shape of one sample as it is handed to the writers: without axes that carry nothing."""
        if self.kind == "volumes":
            return self.shape[: self.num_sides]
        if self.kind == "folder":
            return (*self.shape[:2], *channel_axis(self.model_channels))
        return self.shape

    @property
    def model_shape(self) -> tuple[int, ...]:
        """Shape of one sample as it is modelled."""
        if self.fit_shape is None:
            return self.sample_shape
        return (*self.fit_shape, *self.sample_shape[len(self.fit_shape) :])

    def settled(self, samples: Shaped[np.ndarray, "n *shape"]) -> Shaped[np.ndarray, "n *shape"]:
        """Return samples of the modelled shape with the values that files of this format can hold.

        Columns of a table are rounded to their decimals, and one category is taken; all else stays.
        """
        return samples if self.table is None else self.table.plan.settled(samples)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON types."""
        fields = asdict(self)
        del fields["table"]  # earlier versions know no such field: what they hashed stays the same
        if self.table is not None:
            fields["table"] = self.table.to_dict()
        fields["shape"] = list(self.shape)
        fields["array_keys"] = None if self.array_keys is None else list(self.array_keys)
        fields["fit_shape"] = None if self.fit_shape is None else list(self.fit_shape)
        # nor these: they are there where they say something
        return {key: value for key, value in fields.items() if key not in _LATER_FIELDS or value}

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
            # models of earlier versions have none of these, nor a later field
            fit_shape, grid, table = (fields.get(name) for name in ("fit_shape", "grid", "table"))
            bids, resolution = fields.get("bids"), fields.get("resolution")
            fmt = cls(
                kind=fields["kind"],
                shape=tuple(fields["shape"]),
                dtype=fields["dtype"],
                suffix=fields["suffix"],
                array_keys=None if keys is None else tuple(keys),
                grey_as_rgb=fields["grey_as_rgb"],
                fit_shape=None if fit_shape is None else tuple(fit_shape),
                grid=None if grid is None else VolumeGrid.from_dict(grid),
                opaque_alpha=fields.get("opaque_alpha", False),
                bids=None if bids is None else BidsNames.from_dict(bids),
                table=None if table is None else TableLayout.from_dict(table),
                array_sides=fields.get("array_sides"),
                resolution=None if resolution is None else Resolution.from_dict(resolution),
            )
        except (KeyError, TypeError) as error:
            raise InvalidInputError(f"a sample format lacks or misstates a field: {error}") from None
        fmt._check()
        return fmt

    def _check(self) -> None:
        # the description may come from a model folder that someone else made
        if not isinstance(self.kind, str) or self.kind not in _SUFFIXES:
            raise InvalidInputError(f"a sample format has an impossible kind: {self.to_dict()}")
        keys = self.array_keys
        rules = {
            "shape": self._is_shape(),
            "dtype": _is_real_dtype(self.dtype) and (self.kind != "volumes" or self.dtype in _NIFTI_DTYPES),
            "suffix and array_keys": self.suffix in _SUFFIXES[self.kind]
            and (_are_array_keys(keys) if self.kind == "arrays" else keys is None),
            "grey_as_rgb": self._is_flag(self.grey_as_rgb, is_coloured),
            "opaque_alpha": self._is_flag(self.opaque_alpha, has_alpha),
            "fit_shape": self.fit_shape is None or self._has_fit_shape(),
            "bids": self.bids is None or self.kind == "volumes",
            "grid": (self.grid is not None) == (self.kind == "volumes"),
            "table": self._is_table() if self.kind == "table" else self.table is None,
            "array_sides": self.array_sides is None or self._has_array_sides(),
            "resolution": self.resolution is None or self.kind in ("folder", "stacks"),
        }
        for name, holds in rules.items():
            if not holds:
                raise InvalidInputError(f"a sample format has an impossible {name}: {self.to_dict()}")

    def _is_flag(self, value: object, holds_for: Callable[[int], bool]) -> bool:
        """Tell whether a flag is one, and set only for images with the channels that it is about."""
        if value not in (True, False):
            return False
        return not value or (self.kind == "folder" and holds_for(num_channels(self.shape)))

    def _is_shape(self) -> bool:
        if not _are_sides(self.shape):
            return False
        if self.kind == "folder":
            most = self.shape[2:] == () or (len(self.shape) == 3 and self.shape[2] in (2, 3, 4))
            return len(self.shape) >= 2 and most
        if self.kind in ("stacks", "npy"):
            return len(self.shape) in ((3,) if self.kind == "stacks" else (2, 3))
        if self.kind != "volumes":
            return True
        fits = self.grid is None or self.grid.version > 1 or max(self.shape) <= _LONGEST_NIFTI_1_SIDE
        return fits and 3 <= len(self.shape) <= _MOST_NIFTI_AXES and math.prod(self.shape[3:]) == 1

    def _is_table(self) -> bool:
        fits = self.table is not None and self.shape == (self.table.plan.num_numbers,)
        return fits and self.dtype == "float64"

    def _has_array_sides(self) -> bool:
        fits = self.kind == "arrays" and self.fit_shape is None and type(self.array_sides) is int
        return fits and self.array_sides in (2, 3) and len(self.shape) - self.array_sides in (0, 1)

    def _has_fit_shape(self) -> bool:
        # nothing else bounds the written size once it is not the model's
        return (
            _are_sides(self.shape)
            and isinstance(self.fit_shape, tuple)
            and len(self.fit_shape) == self.num_sides
            and len(self.shape) >= len(self.fit_shape)
            and _are_sides(self.fit_shape)
            and math.prod(self.shape) <= DEFAULT_LIMITS.pixels
        )


def _are_sides(shape: Iterable[object]) -> bool:
    return bool(shape) and all(type(side) is int and side > 0 for side in shape)


def _are_array_keys(keys: object) -> bool:
    """Tell whether these can name two arrays of a file: they become names of members, and of folders."""
    if not isinstance(keys, tuple) or len(keys) != 2 or keys[0] == keys[1]:
        return False
    # what follows are parameters of numpy's writers, to which arrays are given by their names
    taken = ("file", "allow_pickle")
    return all(isinstance(key, str) and key.isidentifier() and key not in taken for key in keys)


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
        chosen = self.samples[self.labels == index]
        forget_pages(self.samples)
        return chosen

    @property
    def counts(self) -> tuple[int, ...]:
        """Number of samples of each class, in the order of `class_names`."""
        found = np.bincount(self.labels, minlength=len(self.class_names))
        return tuple(int(count) for count in found)

    @property
    def num_subjects(self) -> tuple[int, ...] | None:
        """Number of subjects of each class; None if nobody has told them."""
        if self.groups is None:
            return None
        found: list[set[str]] = [set() for _ in self.class_names]
        for label, group in zip(self.labels.tolist(), self.groups, strict=True):
            found[label].add(group)
        return tuple(map(len, found))

    def value_range(self) -> tuple[Any, Any]:
        """Return the smallest and the largest value, as numbers of the samples' dtype."""
        ends = [(block.min(), block.max()) for block in blocks_of(self.samples)]
        return min(low for low, _ in ends), max(high for _, high in ends)

    def fingerprint(self) -> str:
        """Return a SHA-256 (hex) of samples, labels, class names, dtype and grid; the same on any machine."""
        digest = hashlib.sha256()
        head = [self.samples.dtype.name, list(self.samples.shape), list(self.class_names)]
        told = (self.format.fit_shape, self.format.grid, self.format.table, self.format.array_sides)
        if any(part is not None for part in told):
            # the grid and the columns are written too; in which folders, and how large pixels are said to be,
            # is no part of the data that is modelled
            head.append(replace(self.format, bids=None, resolution=None).to_dict())
        digest.update(json.dumps(head).encode())
        little = self.samples.dtype.newbyteorder("<")
        for values in blocks_of(self.samples):
            block = values.astype(little, order="C", copy=False)
            digest.update(np.ascontiguousarray(block).tobytes())
        digest.update(self.labels.astype("<i8").tobytes())
        return digest.hexdigest()
