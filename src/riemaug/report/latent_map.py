"""The latent map: draws, training data and geodesics on the log volume element, with decoded images.

It shows what Fig. 1 of Chadebec & Allassonnière (2021) shows, in the same signs: the log volume element in
grey, red start points, orange velocities, and the samples in blue. The page's script moves a point over it
and shows what the decoder makes of the nearest node of a grid.
"""

import base64
import json
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from markupsafe import Markup, escape
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL import Image

from riemaug.report.data import LatentMap
from riemaug.report.formats import MINUS
from riemaug.report.sprites import Sheet, make_sheet, png_uri

MAX_DRAWS, MAX_CENTROIDS, MAX_GEODESICS = 300, 1000, 12
WIDTH, LEFT, RIGHT, BOTTOM, TOP = 600, 66, 14, 44, 12
"""The drawing and its margins, in units of its own."""
_ARROW_SHARE = 0.1  # the longest arrow, as a share of the map's width
_LEVELS = 127  # of the log volume element that the script tells; the eighth bit is the support
_TOLD_EVERY = 2  # node of the fine grid
_DARKEST, _LIGHTEST = 105, 252


@dataclass(frozen=True)
class MapView:
    """One latent map, ready for the template.

    Parameters
    ----------
    figure : Markup
        Inline SVG.
    sheet : Sheet or None
        The decoded images; None for data that are not images.
    facts : str
        JSON that the script reads: the box, the ends of the axes, the volume element, the grid.
    low, high : float
        Ends of the grey scale.
    """

    figure: Markup
    sheet: Sheet | None
    facts: str
    low: float
    high: float


@dataclass(frozen=True)
class _Frame:
    """From latent coordinates to the drawing's."""

    x: tuple[float, float]
    y: tuple[float, float]
    height: int

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, width and height of the plane in the drawing."""
        return LEFT, TOP, WIDTH - LEFT - RIGHT, self.height - TOP - BOTTOM

    def place(self, points: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 2"]:
        """Return where latent points lie in the drawing."""
        left, top, width, height = self.box
        across = (points[:, 0] - self.x[0]) / _span(self.x)
        down = (self.y[1] - points[:, 1]) / _span(self.y)
        return np.stack([left + width * across, top + height * down], 1)


def latent_view(latent: LatentMap, key: str, budget: int) -> MapView:
    """Draw the latent map.

    Parameters
    ----------
    latent : LatentMap
        Long lists of points are thinned evenly: 300 draws, 1,000 centroids; the first 12 geodesics are drawn.
    key : str
        Letters and digits that no other figure of the page has.
    budget : int
        Bytes that the decoded images may take.
    """
    ratio = float(np.clip(np.ptp(latent.y) / max(float(np.ptp(latent.x)), 1e-9), 0.4, 1.25))
    inner = WIDTH - LEFT - RIGHT
    frame = _Frame(_ends(latent.x), _ends(latent.y), round(inner * ratio) + TOP + BOTTOM)
    low, high = _range(latent.log_volume)
    parts = [_background(latent, frame, low, high), _support(latent, frame), _axes(latent, frame)]
    parts += [_clip(frame, key), _points(latent, frame), _geodesics(latent, frame, key), "</g>"]
    parts.append('<g class="here" hidden="hidden"><circle class="halo" r="11"/><circle r="11"/></g>')
    head = f'<svg viewBox="0 0 {WIDTH} {frame.height}" role="img" aria-label="{escape(_words(latent))}">'
    figure = Markup(head + "".join(parts) + "</svg>")
    sheet = None if latent.decoded is None else make_sheet(latent.decoded, budget)
    return MapView(figure, sheet, json.dumps(_facts(latent, frame, sheet, low, high)), low, high)


def _words(latent: LatentMap) -> str:
    what = "Latent space" if latent.latent_dim == 2 else "Principal plane of the latent space"
    return (
        f"{what} of this class: training data as crosses, draws as blue dots, geodesics in red, on the log "
        "volume element in grey."
    )


def _facts(
    latent: LatentMap, frame: _Frame, sheet: Sheet | None, low: float, high: float
) -> dict[str, object]:
    volume = latent.log_volume[::_TOLD_EVERY, ::_TOLD_EVERY]
    shares = np.nan_to_num((volume - low) / (high - low), nan=1.0, posinf=1.0, neginf=0.0)
    levels = np.rint(_LEVELS * np.clip(shares, 0.0, 1.0)).astype(np.uint8)
    levels |= latent.inside_support[::_TOLD_EVERY, ::_TOLD_EVERY].astype(np.uint8) << 7
    facts: dict[str, object] = {
        "x": frame.x,
        "y": frame.y,
        "box": frame.box,
        "view": [WIDTH, frame.height],
        "size": [levels.shape[1], levels.shape[0]],
        "levels": base64.b64encode(levels.tobytes()).decode("ascii"),
        "range": [low, high],
        "start": _start(latent),
        "names": _axis_names(latent),
        "side": 0,
    }
    if sheet is not None:
        side = sheet.columns
        facts |= {
            "side": side,
            "reach": sheet.reach,
            "tile": [sheet.width, sheet.height],
            "zoom": sheet.zoom,
        }
    return facts


def _start(latent: LatentMap) -> list[float]:
    """Return where the pointer is at first: the centroid in the middle of the others."""
    points = latent.centroids[np.isfinite(latent.centroids).all(axis=1)]
    if not len(points):
        return [float(latent.x.mean()), float(latent.y.mean())]
    middle = np.median(points, axis=0)
    return [float(value) for value in points[np.square(points - middle).sum(1).argmin()]]


def _axis_names(latent: LatentMap) -> tuple[str, str]:
    return ("z₁", "z₂") if latent.latent_dim == 2 else ("1st axis", "2nd axis")


def _ends(axis: np.ndarray) -> tuple[float, float]:
    return float(axis[0]), float(axis[-1])


def _span(ends: tuple[float, float]) -> float:
    return ends[1] - ends[0] or 1.0


def _range(volume: np.ndarray) -> tuple[float, float]:
    finite = volume[np.isfinite(volume)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    return low, max(high, low + 1e-9)


def _background(latent: LatentMap, frame: _Frame, low: float, high: float) -> str:
    """Return the volume element as a picture in greys, dark where it is low."""
    shares = np.nan_to_num((latent.log_volume - low) / (high - low), nan=1.0, posinf=1.0, neginf=0.0)
    greys = _DARKEST + (_LIGHTEST - _DARKEST) * np.clip(shares, 0.0, 1.0)
    uri = png_uri(Image.fromarray(np.rint(greys[::-1]).astype(np.uint8)))
    left, top, width, height = frame.box
    size = f'x="{left}" y="{top}" width="{width}" height="{height}"'
    return f'<image {size} preserveAspectRatio="none" href="{uri}"/><rect class="frame" {size}/>'


def _support(latent: LatentMap, frame: _Frame) -> str:
    inside = latent.inside_support
    if inside.all() or not inside.any() or min(inside.shape) < 2:
        return ""
    contours = Figure().add_subplot().contour(latent.x, latent.y, inside.astype(float), [0.5])
    paths = [_line(frame.place(np.asarray(segment))) for segment in contours.allsegs[0]]
    return f'<path class="support" d="{"".join(paths)}"/>'


def _axes(latent: LatentMap, frame: _Frame) -> str:
    left, top, width, height = frame.box
    bottom = top + height
    parts = []
    for value in _ticks(frame.x):
        (place, _), *_ = frame.place(np.array([[value, 0.0]]))
        parts.append(f'<text x="{place:.0f}" y="{bottom + 17}" text-anchor="middle">{_number(value)}</text>')
    for value in _ticks(frame.y):
        (_, place), *_ = frame.place(np.array([[0.0, value]]))
        parts.append(f'<text x="{left - 7}" y="{place + 5:.0f}" text-anchor="end">{_number(value)}</text>')
    across, up = _axis_names(latent)
    parts.append(f'<text x="{left + width // 2}" y="{bottom + 37}" text-anchor="middle">{across}</text>')
    middle = top + height // 2
    turn = f'transform="rotate(-90 14 {middle})"'
    parts.append(f'<text x="14" y="{middle}" text-anchor="middle" {turn}>{up}</text>')
    return "".join(parts)


def _ticks(ends: tuple[float, float]) -> list[float]:
    found = MaxNLocator(5).tick_values(*ends)
    return [float(value) for value in found if ends[0] <= value <= ends[1]]


def _number(value: float) -> str:
    """Return a number short enough for an axis."""
    if value == 0 or 0.01 <= abs(value) < 10_000:
        return f"{value:.3g}".replace("-", MINUS)
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa.removesuffix('.0')}e{int(exponent)}".replace("-", MINUS)


def _clip(frame: _Frame, key: str) -> str:
    """Return the opening of a group that keeps to the plane: geodesics and projected draws may leave it."""
    left, top, width, height = frame.box
    rect = f'<rect x="{left}" y="{top}" width="{width}" height="{height}"/>'
    return f'<clipPath id="{key}-clip">{rect}</clipPath><g clip-path="url(#{key}-clip)">'


def _points(latent: LatentMap, frame: _Frame) -> str:
    draws = frame.place(_some(latent.draws, MAX_DRAWS))
    centroids = frame.place(_some(latent.centroids, MAX_CENTROIDS))
    dots = "".join(f"M{x:.1f} {y:.1f}h0" for x, y in draws)
    crosses = "".join(f"M{x - 3.5:.1f} {y - 3.5:.1f}l7 7m-7 0l7 -7" for x, y in centroids)
    parts = [f'<path class="draws-halo" d="{dots}"/><path class="draws" d="{dots}"/>'] if dots else []
    return "".join(parts) + (f'<path class="centroids" d="{crosses}"/>' if crosses else "")


def _geodesics(latent: LatentMap, frame: _Frame, key: str) -> str:
    paths = [path[np.isfinite(path).all(axis=1)] for path in latent.geodesics[:MAX_GEODESICS]]
    lines = "".join(_line(frame.place(path)) for path in paths if len(path) > 1)
    starts, arrows = _arrows(latent)
    shafts = "".join(_line(frame.place(np.stack(pair))) for pair in zip(starts, arrows, strict=True))
    dots = "".join(f"M{x:.1f} {y:.1f}h0" for x, y in frame.place(starts))
    parts = []
    if lines:
        parts.append(f'<path class="geodesics-halo" d="{lines}"/><path class="geodesics" d="{lines}"/>')
    if shafts:
        parts.append(
            f'<marker id="{key}-tip" viewBox="0 0 8 8" refX="5" refY="4" markerWidth="4" markerHeight="4" '
            'orient="auto"><path class="tip" d="M0 0L8 4L0 8z"/></marker>'
        )
        parts += [
            f'<path class="velocities" marker-end="url(#{key}-tip)" d="{part}"/>' for part in _split(shafts)
        ]
        parts.append(f'<path class="starts-halo" d="{dots}"/><path class="starts" d="{dots}"/>')
    return "".join(parts)


def _arrows(latent: LatentMap) -> tuple[np.ndarray, np.ndarray]:
    """Return where the arrows begin and end: all to one scale."""
    starts, velocities = latent.starts[:MAX_GEODESICS], latent.velocities[:MAX_GEODESICS]
    longest = float(np.linalg.norm(velocities, axis=1).max(initial=0.0))
    if not np.isfinite(longest) or longest <= 0 or not np.isfinite(starts).all():
        return starts[:0], starts[:0]
    return starts, starts + velocities * (_ARROW_SHARE * float(np.ptp(latent.x)) / longest)


def _split(path: str) -> list[str]:
    return [f"M{part}" for part in path.split("M") if part]


def _line(points: np.ndarray) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def _some(points: Float[np.ndarray, "many 2"], most: int) -> Float[np.ndarray, "some 2"]:
    points = points[np.isfinite(points).all(axis=1)]
    if len(points) <= most:
        return points
    return points[np.linspace(0, len(points) - 1, most).round().astype(int)]
