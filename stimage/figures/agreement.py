"""Draw shares of cells beside proportions of a deconvolution, spot by spot."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from stimage.figures.colours import GREY, label_looks
from stimage.figures.style import canvas, shortened, styled

ACROSS, MANY = 5, 2000  # panels in a row, and spots from which on points are small and faint

TICKS = (0, 0.5, 1)


@styled
def agreement_panels(title: str, ours: pd.DataFrame, theirs: pd.DataFrame, scores: pd.DataFrame) -> Figure:
    """Draw a panel per class: the share of a spot's cells on the x axis, the deconvolved proportion on the y axis.

    Parameters
    ----------
    ours, theirs
        By spot, one column per class; both have the same spots and classes.
    scores
        By class: ``r`` (NaN where it is unknown) and ``rmse``, for the titles of the panels.
    """
    classes = list(scores.index)
    rows = -(-len(classes) // ACROSS)
    columns = -(-len(classes) // rows)
    figure, axes = canvas(max(2.3 * columns + 0.5, 4.8), 2.5 * rows + 0.6, rows, columns)
    looks = label_looks(classes)
    size, alpha = (2, 0.3) if len(ours) >= MANY else (7, 0.6)
    for one, name in zip(axes.flat, classes):
        one.plot([0, 1], [0, 1], color=GREY, lw=1, zorder=3)
        one.scatter(ours[name], theirs[name], size, looks[name].colour, alpha=alpha, linewidths=0, rasterized=True)
        r, rmse = scores.loc[name, ["r", "rmse"]]
        told = "r is not known" if np.isnan(r) else f"r {r:.2f}"
        one.set_title(f"{shortened(name, 24)}\n{told}, RMSE {rmse:.2f}")
        one.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), aspect="equal", xticks=TICKS, yticks=TICKS)
    for one in axes.flat[len(classes) :]:
        one.set_axis_off()
    figure.supxlabel("share of the spot's cells", fontsize=9)
    figure.supylabel("deconvolved proportion", fontsize=9)
    figure.suptitle(f"{title}, {len(ours):,} spots", fontsize=10)
    return figure
