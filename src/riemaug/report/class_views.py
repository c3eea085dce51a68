"""A class that is shown in full, as the templates show it: pictures in sprites, curves, maps, words."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from riemaug.report import formats, words
from riemaug.report.class_rows import ClassRow
from riemaug.report.closeness import closeness_sentence
from riemaug.report.column_view import ColumnsView, columns_view
from riemaug.report.data import ClassReport, ReportData
from riemaug.report.dropping import dropping_of_class
from riemaug.report.figures import curve_svg, distance_svg
from riemaug.report.latent_map import MapView, latent_view
from riemaug.report.sprites import MAX_TILES, Pictures, Sprite, make_sprites
from riemaug.report.volumes import VolumesView, volumes_view

CURVE_TITLES = {
    "elbo": ("ELBO", "the bound that training raises; higher is better"),
    "loss": ("Loss", "lower is better"),
    "reconstruction": ("Reconstruction", "how well decoded samples match their originals"),
    "kl": ("KL divergence", "how far the encodings are from the prior"),
}
MAX_PANELS = 6
MAX_PAIRS = 50
# for all classes in full together: at least, and for each of them
_PICTURE_BYTES = (1_300_000, 60_000)
_DECODED_BYTES = (1_300_000, 40_000)
_VOLUME_BYTES = (2_400_000, 200_000)
_VALIDATION = "validation_"


@dataclass(frozen=True)
class Tile:
    """One picture of a sprite: where it is, and what it is called."""

    x: int
    y: int
    name: str


@dataclass(frozen=True)
class Triplet:
    """A synthetic sample, the training sample nearest to it, the distance ("–" if unknown), some real one."""

    synthetic: Tile
    nearest: Tile | None
    distance: str
    real: Tile | None = None


@dataclass(frozen=True)
class Panel:
    """One figure of a training curve with its heading."""

    title: str
    meaning: str
    figure: Markup
    has_validation: bool


@dataclass(frozen=True)
class ClassView:
    """One class in full, ready for the template."""

    row: ClassRow
    unmeasured: tuple[str, ...]
    sprites: Mapping[str, Sprite]
    real: tuple[Tile, ...]
    pairs: tuple[Triplet, ...]
    withheld: int
    named_pairs: tuple[tuple[str, str, str], ...]
    panels: tuple[Panel, ...]
    distances: Markup | None
    closeness: str
    latent_map: MapView | None
    volumes: VolumesView | None
    columns: ColumnsView | None
    dropping: str


def class_view(data: ReportData, row: ClassRow, num_in_full: int) -> ClassView:
    """Return one class of a report in full, ready for the template.

    Parameters
    ----------
    data : ReportData
    row : ClassRow
        Of the class.
    num_in_full : int
        Classes in full, which share the bytes of the report.
    """
    report, index, latent = row.data, row.index, row.data.latent
    shown = _showable(report, data.show_real)
    pictures, decoded, volumes = (
        max(least // num_in_full, each) for least, each in (_PICTURE_BYTES, _DECODED_BYTES, _VOLUME_BYTES)
    )
    sprites = _sprites(report, shown, data.show_real, pictures)
    return ClassView(
        row=row,
        unmeasured=words.unmeasured(report.diagnostics),
        sprites=sprites,
        real=_tiles(sprites.get("real"), ()),
        pairs=_pairs(report, shown, sprites),
        withheld=(0 if report.synthetic is None else min(len(report.synthetic), MAX_TILES)) - len(shown),
        named_pairs=_named_pairs(report),
        panels=tuple(_panels(report, index)),
        distances=distance_svg(
            report.nearest_distances,
            report.real_nearest_distances,
            closeness_sentence(report),
            f"d{index}",
        ),
        closeness=closeness_sentence(report),
        latent_map=None if latent is None else latent_view(latent, f"m{index}", decoded),
        volumes=volumes_view(report, shown, data.show_real, volumes),
        columns=columns_view(report.columns, data.show_real),
        dropping=dropping_of_class(report),
    )


def _showable(report: ClassReport, show_real: bool) -> list[int]:
    """Return which synthetic pictures may be shown: without real pictures, not those that equal one."""
    if report.synthetic is None:
        return []
    first = range(min(len(report.synthetic), MAX_TILES))
    return [number for number in first if show_real or not _equals_real(report, number)]


def _equals_real(report: ClassReport, number: int) -> bool:
    assert report.synthetic is not None
    picture = report.synthetic[number]
    if number < len(report.nearest_distances) and report.nearest_distances[number] == 0:
        return True
    if report.nearest is not None and np.array_equal(picture, report.nearest[number]):
        return True
    return report.real is not None and any(np.array_equal(picture, real) for real in report.real)


def _sprites(report: ClassReport, shown: list[int], show_real: bool, budget: int) -> dict[str, Sprite]:
    stacks: dict[str, Pictures] = {}
    if report.synthetic is not None and shown:
        stacks["synthetic"] = report.synthetic[shown]
    if show_real and report.nearest is not None and shown:
        stacks["nearest"] = report.nearest[shown]
    if show_real and report.real is not None and len(report.real):
        stacks["real"] = report.real
    return dict(zip(stacks, make_sprites(tuple(stacks.values()), budget), strict=True))


def _tiles(sprite: Sprite | None, names: tuple[str, ...]) -> tuple[Tile, ...]:
    if sprite is None:
        return ()
    return tuple(
        Tile(x, y, names[number] if number < len(names) else "")
        for number, (x, y) in enumerate(sprite.offsets)
    )


def _pairs(report: ClassReport, shown: list[int], sprites: Mapping[str, Sprite]) -> tuple[Triplet, ...]:
    """Return the shown synthetic pictures with their nearest training ones, the closest pair first."""
    synthetic = _tiles(
        sprites.get("synthetic"), tuple(_item(report.synthetic_names, number) for number in shown)
    )
    nearest = _tiles(sprites.get("nearest"), tuple(_item(report.nearest_names, number) for number in shown))
    distances = [
        float(report.nearest_distances[number]) if number < len(report.nearest_distances) else float("nan")
        for number in shown[: len(synthetic)]
    ]
    order = sorted(range(len(synthetic)), key=lambda i: (np.isnan(distances[i]), distances[i]))
    some = _tiles(sprites.get("real"), ())
    return tuple(
        Triplet(
            synthetic[i],
            nearest[i] if nearest else None,
            formats.number(distances[i]),
            some[place % len(some)] if some else None,
        )
        for place, i in enumerate(order)
    )


def _named_pairs(report: ClassReport) -> tuple[tuple[str, str, str], ...]:
    """Return names and distances of the shown samples as text, the closest pair first."""
    size = min(len(report.synthetic_names), len(report.nearest_names), len(report.nearest_distances))
    closest = np.argsort(report.nearest_distances[:size], kind="stable")[:MAX_PAIRS]
    return tuple(
        (
            report.synthetic_names[i],
            report.nearest_names[i],
            formats.number(float(report.nearest_distances[i])),
        )
        for i in closest
    )


def _item(names: tuple[str, ...], number: int) -> str:
    return names[number] if number < len(names) else ""


def _panels(report: ClassReport, index: int) -> Iterator[Panel]:
    plain = [name for name in report.curves if not _is_validation(name, report)]
    known = [name for name in CURVE_TITLES if name in plain]
    names = known + [name for name in plain if name not in CURVE_TITLES]
    for number, name in enumerate(names[:MAX_PANELS]):
        curve = np.asarray(report.curves[name], dtype=float)
        validation = report.curves.get(_VALIDATION + name)
        title, meaning = CURVE_TITLES.get(name, (name.replace("_", " ").capitalize(), ""))
        figure = curve_svg(
            curve, validation, report.best_epoch, _curve_text(title, curve), f"c{index}p{number}"
        )
        if figure is not None:
            yield Panel(title, meaning, figure, validation is not None)


def _is_validation(name: str, report: ClassReport) -> bool:
    return name.startswith(_VALIDATION) and name.removeprefix(_VALIDATION) in report.curves


def _curve_text(title: str, curve: np.ndarray) -> str:
    if not len(curve):
        return title
    first, last = formats.number(float(curve[0])), formats.number(float(curve[-1]))
    return f"{title} against the epoch: {first} at first, {last} after {formats.count(len(curve), 'epoch')}."
