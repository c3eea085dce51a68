"""How large pixels and voxels are: what TIFF and PNG files say of it, and how it is written back."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

from PIL import ExifTags, Image
from PIL.TiffImagePlugin import IFDRational

from riemaug.errors import InvalidInputError

_X, _Y, _UNIT, _DESCRIPTION = 282, 283, 296, 270
_NO_UNIT, _INCH, _CENTIMETRE = 1, 2, 3
_UNIT_NAMES = {_NO_UNIT: "unit", _INCH: "inch", _CENTIMETRE: "cm"}
_CM_PER_INCH = 2.54
_MOST = 2**32 - 1
"""Of the two numbers of a fraction in a TIFF file."""
_IMAGEJ = "ImageJ="
_WRITTEN_VERSION = "1.11a"
"""What other programs that write ImageJ's description for it put there, too."""
_LONGEST_DESCRIPTION, _LONGEST_UNIT = 10_000, 32
_MOST_UNEQUAL = 1e3
"""Ratio of a voxel's sides beyond which they are no lengths of one unit."""
_FIRST_TURNED = 5
"""EXIF orientations from this one on swap width and height."""


@dataclass(frozen=True)
class Resolution:
    """Pixels per unit of length, and the distance of slices.

    Parameters
    ----------
    x, y : tuple of 2 int
        Pixels per unit along a row and along a column, as a fraction.
    unit : {1, 2, 3}
        TIFF's code: none, inch, centimetre.
    length_unit : str
        ImageJ's name of the unit, which counts instead of `unit`; "" where there is none. ASCII: other
        characters as Java's escapes.
    spacing : float, optional
        ImageJ's distance of slices, in the same unit.
    """

    x: tuple[int, int]
    y: tuple[int, int]
    unit: int
    length_unit: str = ""
    spacing: float | None = None

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "Resolution":
        """Return the resolution that `asdict` described; InvalidInputError for what no file can hold."""
        if not isinstance(fields, Mapping) or not _can_be_written(fields):
            raise InvalidInputError(f"a resolution has impossible fields: {fields!r}")
        known: dict[str, Any] = {
            name: tuple(value) if name in ("x", "y") else value for name, value in fields.items()
        }
        return cls(**known)

    def voxel_lengths(self) -> tuple[float, float, float] | None:
        """Return the length of a voxel from slice to slice, down and across; None if not all are known."""
        if self.spacing is None:
            return None
        lengths = self.spacing, self.y[1] / self.y[0], self.x[1] / self.x[0]
        return lengths if max(lengths) <= _MOST_UNEQUAL * min(lengths) else None

    def describe(self) -> str:
        """Return it in words, for the user."""
        unit = self.length_unit or _UNIT_NAMES[self.unit]
        x, y = (terms[0] / terms[1] for terms in (self.x, self.y))
        apart = "" if self.spacing is None else f", slices {self.spacing:g} {unit} apart"
        return f"{x:g} x {y:g} pixels per {unit}{apart}"

    def save_options(self, kind: Literal["TIFF", "PNG"], num_pages: int = 1) -> dict[str, Any]:
        """Return the arguments by which Pillow writes the resolution; none where the kind cannot hold it."""
        if kind == "TIFF":
            return {"tiffinfo": self._tags(num_pages)}
        per_inch = {_INCH: 1.0, _CENTIMETRE: _CM_PER_INCH}.get(self.unit)
        if per_inch is None:
            return {}
        return {"dpi": (self.x[0] / self.x[1] * per_inch, self.y[0] / self.y[1] * per_inch)}

    def _tags(self, num_pages: int) -> dict[int, Any]:
        tags: dict[int, Any] = {_X: IFDRational(*self.x), _Y: IFDRational(*self.y), _UNIT: self.unit}
        if self.length_unit or self.spacing is not None:
            lines = [f"{_IMAGEJ}{_WRITTEN_VERSION}", f"images={num_pages}", f"slices={num_pages}"]
            lines += [f"unit={self.length_unit}"] if self.length_unit else []
            lines += [] if self.spacing is None else [f"spacing={self.spacing!r}"]
            tags[_DESCRIPTION] = "\n".join([*lines, "loop=false", ""])
        return tags


def resolution_of_stack(image: Image.Image) -> Resolution | None:
    """Return what an open TIFF file says of the page that it stands at; None if it says nothing."""
    tags: Mapping[int, Any] = getattr(image, "tag_v2", {})
    length_unit, spacing = _of_description(tags.get(_DESCRIPTION))
    x, y = _fraction(tags.get(_X)), _fraction(tags.get(_Y))
    if x is None or y is None:
        if not length_unit and spacing is None:
            return None
        return Resolution((1, 1), (1, 1), _NO_UNIT, length_unit, spacing)
    unit = tags.get(_UNIT, _INCH)
    return Resolution(x, y, unit if unit in (_INCH, _CENTIMETRE) else _NO_UNIT, length_unit, spacing)


def resolution_of_picture(image: Image.Image) -> Resolution | None:
    """Return the resolution of an open file of one picture, as it lies when it is turned upright."""
    found = _of_png(image.info.get("dpi")) if image.format == "PNG" else None
    if image.format == "TIFF":
        found = resolution_of_stack(image)
    if found is None or image.getexif().get(ExifTags.Base.Orientation, 1) < _FIRST_TURNED:
        return found
    return Resolution(found.y, found.x, found.unit, found.length_unit, found.spacing)


def common_resolution(
    found: Sequence[Resolution | None], what: str
) -> tuple[Resolution | None, tuple[str, ...]]:
    """Return the resolution that all files state, None if there is none, and the note on files that differ.

    Parameters
    ----------
    found : sequence of Resolution or None
        Of each file.
    what : str
        What the files are called, in the plural.
    """
    stated = {resolution for resolution in found if resolution is not None}
    if not stated or (len(stated) == 1 and None not in found):
        return next(iter(stated), None), ()
    silent = sum(resolution is None for resolution in found)
    told = f"{len(stated)} resolutions or voxel spacings" if len(stated) > 1 else "a resolution"
    without = f", {silent} state none" if silent else ""
    return None, (f"The {what} state {told}{without}: new ones state none.",)


def _of_png(dpi: Any) -> Resolution | None:
    if not isinstance(dpi, tuple) or len(dpi) != 2:
        return None
    # the file holds whole pixels per metre, Pillow makes inches of them
    per_metre = [round(100 * value / _CM_PER_INCH) for value in dpi]
    x, y = (_fraction(Fraction(value, 100)) for value in per_metre)
    return None if x is None or y is None else Resolution(x, y, _CENTIMETRE)


def _fraction(value: Any) -> tuple[int, int] | None:
    """Return a positive number of a tag in lowest terms; None for what is no such number."""
    try:
        exact = Fraction(value)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    terms = exact.numerator, exact.denominator
    return terms if _is_fraction(terms) else None


def _of_description(text: Any) -> tuple[str, float | None]:
    """Return unit and spacing of ImageJ's lines of key=value; "" and None where there are none."""
    if not isinstance(text, str) or not text.startswith(_IMAGEJ):
        return "", None
    lines = (line.partition("=") for line in text[:_LONGEST_DESCRIPTION].splitlines())
    values = {key: value for key, _, value in lines}
    letters = values.get("unit", "").strip()
    unit = "".join(letter if letter.isascii() else f"\\u{ord(letter):04X}" for letter in letters)
    try:
        spacing = float(values.get("spacing", ""))
    except ValueError:
        spacing = None
    return unit if _is_unit(unit) else "", spacing if _is_spacing(spacing) else None


def _can_be_written(fields: Mapping[str, Any]) -> bool:
    if set(fields) != {"x", "y", "unit", "length_unit", "spacing"}:
        return False
    unit, spacing = fields["unit"], fields["spacing"]
    return (
        all(isinstance(fields[name], list | tuple) and _is_fraction(fields[name]) for name in ("x", "y"))
        and type(unit) is int
        and unit in (_NO_UNIT, _INCH, _CENTIMETRE)
        and _is_unit(fields["length_unit"])
        and (spacing is None or _is_spacing(spacing))
    )


def _is_fraction(terms: Sequence[Any]) -> bool:
    return len(terms) == 2 and all(type(term) is int and 0 < term <= _MOST for term in terms)


def _is_unit(text: Any) -> bool:
    # a line of its own: anything else could put further lines into the description
    return isinstance(text, str) and len(text) <= _LONGEST_UNIT and text.isascii() and text.isprintable()


def _is_spacing(value: Any) -> bool:
    return isinstance(value, float) and math.isfinite(value) and value > 0
