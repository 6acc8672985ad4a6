"""Lengths and colours that can be read off a picture: scale bars, and the range of a map's colours."""

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.transforms import blended_transform_factory

from stimage.core.errors import DataError
from stimage.figures.colours import FAINT

SHARE = 0.3  # of a picture's width: a scale bar is at most so long
CLIPPED = 0.01  # share of values at either end that are beyond the colours


def scale_length(width: float, um_per_px: float | None) -> tuple[float, str]:
    """Return a scale bar's length in pixels, and what it says: 1, 2 or 5 times a power of ten, if there is room.

    Parameters
    ----------
    width
        Of the picture, in pixels of the slide image.
    um_per_px
        None makes a bar that counts pixels, and says so.
    """
    most = SHARE * width * (um_per_px or 1)
    power = 10 ** np.floor(np.log10(most))
    length = float(max(step * power for step in (1, 2, 5) if step * power <= most))
    if um_per_px is None:
        return length, f"{length:g} px (µm per px not known)"
    return length / um_per_px, f"{length:g} µm" if length < 1000 else f"{length / 1000:g} mm"


def scale_bar(axes: Axes, um_per_px: float | None) -> None:
    """Draw a scale bar below the picture's left corner, where it hides nothing; axes are in pixels of the image."""
    left, right = axes.get_xlim()
    length, text = scale_length(right - left, um_per_px)
    below = blended_transform_factory(axes.transData, axes.transAxes)
    bar, = axes.plot([left, left + length], [-0.03] * 2, color="black", linewidth=2, solid_capstyle="butt",
                     transform=below, clip_on=False)  # fmt: skip
    bar.set_gid("scale bar")
    axes.annotate(text, (left, -0.03), xycoords=below, xytext=(0, -3), textcoords="offset points", va="top", fontsize=8)


def span_of(many: Sequence[np.ndarray]) -> tuple[float, float]:
    """Return the range that colours of some maps share: that of all values but the lowest and highest hundredth.

    Raises
    ------
    DataError
        If no value is finite.
    """
    values = _known(many)
    if not len(values):
        raise DataError("no spot has a value, so that there is nothing to draw; choose another gene or slide")
    low, high = np.quantile(values, (CLIPPED, 1 - CLIPPED))
    if high <= low:  # next to all are alike
        low, high = values.min(), values.max()
    return float(low), float(high) if high > low else float(low) + 1e-6


def colours_of(span: tuple[float, float]) -> ScalarMappable:
    """Return what gives values their colours: viridis, which the colour-blind can read; NaN is as pale as no label."""
    return ScalarMappable(matplotlib.colors.Normalize(*span), matplotlib.colormaps["viridis"].with_extremes(bad=FAINT))


def count_colours(values: np.ndarray) -> ScalarMappable:
    """Return the colour scale of counts: viridis over log(1 + count), for all values but the extreme hundredths."""
    low, high = np.floor(np.quantile(values, (CLIPPED, 1 - CLIPPED)))
    norm = matplotlib.colors.FuncNorm((np.log1p, np.expm1), low, max(high, low + 1), clip=True)
    return ScalarMappable(norm, "viridis")


def count_ticks(colours: ScalarMappable, values: np.ndarray) -> list[tuple[float, float, str]]:
    """Return the ticks of a bar of `count_colours`, from left to right: counts, their places from 0 to 1, and texts."""
    low, high = (float(end or 0) for end in colours.get_clim())
    begin, wide = np.log1p(low), np.log1p(high) - np.log1p(low)
    ticks = [(high, 1.0, f"{'≥ ' * bool(values.max() > high)}{high:,.0f}")]
    for value in (m * 10.0**p for p in range(8, -1, -1) for m in (5, 2, 1)):
        place = float((np.log1p(value) - begin) / wide)
        if 0.16 < place < ticks[-1][1] - 0.16:
            ticks.append((value, place, f"{value:,.0f}"))
    return [(low, 0.0, f"{'≤ ' * bool(values.min() < low)}{low:,.0f}"), *ticks[::-1]]


def colour_bar(figure: Figure, axes: Axes | Sequence[Axes], colours: ScalarMappable, many: Sequence, unit: str) -> None:
    """Draw the bar of some maps' colours, with the unit; pointed at an end beyond which there are values."""
    values = _known(many)
    below, above = values.min() < colours.norm.vmin, values.max() > colours.norm.vmax
    extend = {(True, True): "both", (True, False): "min", (False, True): "max"}.get((below, above), "neither")
    top = (1.0, 1.0)  # or the map is put in the middle of its room, and what is below it leaves the figure
    bar = figure.colorbar(colours, ax=axes, shrink=0.7, aspect=25, pad=0.02, extend=extend, panchor=top)
    bar.set_label(unit, fontsize=8)
    bar.ax.tick_params(labelsize=8)
    bar.outline.set_visible(False)


def _known(many: Sequence[np.ndarray]) -> np.ndarray:
    values = np.concatenate([np.ravel(one) for one in many]).astype(float)
    return values[np.isfinite(values)]
