"""Curves and histograms as compact SVG in the page's own colours.

Only numbers and fixed words go into a figure, never a name from the data: fonts lack glyphs.
"""

import io
import re

import matplotlib
import numpy as np
from jaxtyping import Float
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

# Stand-ins that become CSS variables, so that one figure fits light, dark and paper.
_COLORS = {
    "#010101": "var(--ink)",
    "#020202": "var(--muted)",
    "#030303": "var(--line)",
    "#040404": "var(--synthetic)",
    "#050505": "var(--real)",
}
_INK, _MUTED, _LINE, _SYNTHETIC, _REAL = _COLORS
_MAX_POINTS = 400
_NO_METADATA = {"Creator": None, "Date": None, "Format": None, "Type": None}


def curve_svg(
    training: Float[np.ndarray, "_"],
    validation: Float[np.ndarray, "_"] | None,
    best_epoch: int | None,
    text: str,
    key: str,
) -> Markup | None:
    """Draw one quantity against the epoch as inline SVG; None when there is no finite value.

    Parameters
    ----------
    training : ndarray (epochs,)
        Values that are not finite leave gaps.
    validation : ndarray (epochs,) or None
        The same quantity on held-out data, dashed.
    best_epoch : int or None
        Epoch counted from 1 that gets a vertical line.
    text : str
        What the figure shows, for those who cannot see it.
    key : str
        Letters and digits that no other figure of the page has.
    """
    styles = ((training, "-", _SYNTHETIC), (validation, "--", _REAL))
    drawn = [(curve, *style) for curve, *style in styles if curve is not None and np.isfinite(curve).any()]
    if not drawn:
        return None
    figure, axes = _small_figure()
    for curve, style, color in drawn:
        epochs, values = _thin(np.arange(1, len(curve) + 1), np.asarray(curve, dtype=float))
        marker = "o" if len(values) == 1 else ""
        axes.plot(epochs, values, style, color=color, linewidth=1.6, marker=marker, markersize=4)
    if best_epoch is not None:
        axes.axvline(best_epoch, color=_MUTED, linewidth=0.9, linestyle=":")
    axes.set_ylim(*_limits([curve for curve, _, _ in drawn]))
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.set_xlabel("epoch", color=_MUTED, fontsize=9)
    return _svg(figure, text, key)


def distance_svg(
    synthetic: Float[np.ndarray, "_"], real: Float[np.ndarray, "_"], text: str, key: str
) -> Markup | None:
    """Draw the two histograms of distances to the nearest training sample, each as shares of its own group.

    Parameters
    ----------
    synthetic, real : ndarray (n,), (m,)
        Distances; those that are not finite are left out.
    text : str
        What the figure shows, for those who cannot see it.
    key : str
        Letters and digits that no other figure of the page has.

    Returns
    -------
    Markup or None
        Inline SVG; None when there is no finite synthetic distance.
    """
    synthetic, real = synthetic[np.isfinite(synthetic)], real[np.isfinite(real)]
    if not len(synthetic):
        return None
    both = np.concatenate([synthetic, real])
    top = float(both.max()) or 1.0
    edges = np.linspace(0.0, top, min(40, max(8, round(2 * len(both) ** (1 / 3)))) + 1)
    figure, axes = _small_figure(width=4.2)
    for values, color, style in ((real, _REAL, "--"), (synthetic, _SYNTHETIC, "-")):
        if not len(values):
            continue
        shares = 100 * np.histogram(values, edges)[0] / len(values)
        axes.stairs(shares, edges, color=color, fill=True, alpha=0.22, linewidth=0)
        axes.stairs(shares, edges, color=color, linewidth=1.6, linestyle=style)
    axes.set_xlim(0, top)
    axes.set_xlabel("distance to the nearest training sample", color=_MUTED, fontsize=9)
    axes.set_ylabel("% of the group", color=_MUTED, fontsize=9)
    return _svg(figure, text, key)


def _small_figure(width: float = 3.6) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, 2.3))
    axes = figure.add_axes((0.66 / width, 0.2, 1 - 0.78 / width, 0.75))
    axes.set_facecolor("none")
    figure.patch.set_visible(False)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(_LINE)
    axes.tick_params(length=0, labelsize=9, labelcolor=_MUTED)
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.grid(axis="y", color=_LINE, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.ticklabel_format(useOffset=False)
    return figure, axes


def _thin(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Keep the smallest and the largest value of each stretch: a spike stays visible."""
    if len(y) <= _MAX_POINTS:
        return x, y
    keep = {0, len(y) - 1}
    for stretch in np.array_split(np.arange(len(y)), _MAX_POINTS // 2):
        finite = stretch[np.isfinite(y[stretch])]
        if len(finite):
            keep |= {int(finite[y[finite].argmin()]), int(finite[y[finite].argmax()])}
    order = sorted(keep)
    return x[order], y[order]


def _limits(curves: list[np.ndarray]) -> tuple[float, float]:
    """Return the range of the values without the first twentieth, which would flatten all the rest."""
    tails = [curve[len(curve) // 20 :] for curve in curves]
    finite = np.concatenate([tail[np.isfinite(tail)] for tail in tails])
    if not len(finite):
        finite = np.concatenate([curve[np.isfinite(curve)] for curve in curves])
    low, high = float(finite.min()), float(finite.max())
    margin = 0.06 * (high - low) or max(abs(high), 1.0) * 0.06
    return low - margin, high + margin


def _svg(figure: Figure, text: str, key: str) -> Markup:
    """Return the figure as inline SVG: text as text, colours from the page, nothing that points outside."""
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": key}):
        FigureCanvasSVG(figure).print_svg(buffer, metadata=_NO_METADATA)
    raw = buffer.getvalue()
    head, body = raw[raw.index("<svg") :].split(">", 1)
    head = re.sub(r'\s(?:xmlns(?::xlink)?|version|width|height)="[^"]*"', "", head)
    body = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", body, flags=re.DOTALL)
    body = body.replace("xlink:href", "href")
    body = re.sub(r"font:\s*([\d.]+)px [^;\"]+", r"font-size: \1px", body)
    body = re.sub(r" ?font-family: [^;\"]+;?", "", body)
    body = re.sub(r' transform="rotate\(-0 [^)]*\)"|<g/>', "", body)
    for stand_in, variable in _COLORS.items():
        body = body.replace(stand_in, variable)
    body = _own_ids(body, key)
    label = f'<svg role="img" aria-label="{escape(text)}"'
    return Markup(re.sub(r"\n\s*", " ", f"{head.replace('<svg', label, 1)}>{body}"))


def _own_ids(body: str, key: str) -> str:
    """Give the figure ids of its own, so that many fit into one page; drop those that nothing refers to."""
    used = set(re.findall(r"(?:href=\"|url\()#([^\")]+)", body))
    body = re.sub(
        r'\sid="([^"]*)"', lambda match: f' id="{key}-{match[1]}"' if match[1] in used else "", body
    )
    return re.sub(r'(href="|url\()#', rf"\g<1>#{key}-", body)
