"""Draw curves: of training by step, and of time and memory by the size of a slide."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from stimage.figures.colours import GREY, OKABE_ITO
from stimage.figures.style import canvas, styled

BLUE, ORANGE, GREEN, *_, RED, _, _ = OKABE_ITO
CURVES = (  # score, what it is called, the panel, its colour and its line
    ("loss", "held-out slides", 0, BLUE, "o-"),
    ("pooled_image_to_other_recall@10", "among all spots", 1, BLUE, "o-"),
    ("pooled_chance_recall@10", "chance", 1, BLUE, ":"),
    ("slide_image_to_other_recall@10", "within a slide", 1, RED, "o--"),
    ("slide_chance_recall@10", "chance within a slide", 1, RED, ":"),
    ("probe_f1", "linear probe", 2, GREEN, "s-"),
)

PANELS = (("seconds", "time", "seconds"), ("mb", "memory at the peak, beyond the interpreter's", "MB"))


@styled
def training_curves(losses: Sequence[float], history: Sequence[Mapping[str, float]]) -> Figure:
    """Draw, by step, the loss of training and of held-out spots, their recall beside chance, and the probe.

    Parameters
    ----------
    losses
        The loss of each step.
    history
        Scores of each epoch, with its last step. Scores that it lacks are not drawn.
    """
    figure, axes = canvas(12, 3.8, 1, 3)
    loss, recall, probe = axes[0]
    loss.plot(range(1, len(losses) + 1), losses, color=GREY, lw=0.8, label="training, each step")
    for name, label, panel, colour, line in CURVES:
        if values := [(scores["step"], scores[name]) for scores in history if name in scores]:
            axes[0, panel].plot(*zip(*values), line, color=colour, label=label, ms=4)
    loss.set(xlabel="step", ylabel="contrastive loss")
    recall.set(xlabel="step", ylabel="recall@10, held-out slides")
    recall.margins(y=0.4)  # room for the legend
    recall.set_ylim(bottom=0)
    probe.set(xlabel="step", ylabel="macro-F1, held-out slides", ylim=(0, 1))
    for one in axes.flat:
        if one.lines:
            one.legend(fontsize=8)
        else:  # nothing was held out, or has no labels
            one.set_axis_off()
    return figure


@dataclass(frozen=True)
class Growth:
    """Seconds and MB of a job by the number of spots, with the legend of each."""

    name: str
    spots: Sequence[int]
    seconds: Sequence[float]
    mb: Sequence[float]
    said: tuple[str, str]


@styled
def growth_curves(series: Sequence[Growth], what: str, steady: int) -> Figure:
    """Draw time and memory over the number of spots, both on logarithmic axes.

    Parameters
    ----------
    what
        The name of the spots on the axis.
    steady
        Number of spots at which a line of proportional growth begins, below the first of the series.
    """
    figure, axes = canvas(8, 3.8, 1, 2)
    for one, (key, title, unit) in zip(axes.flat, PANELS):
        for k, job in enumerate(series):
            one.plot(job.spots, getattr(job, key), marker="os^"[k], color=OKABE_ITO[k], markersize=4, linewidth=1.2,
                     label=f"{job.name}: {job.said[key == 'mb']}")  # fmt: skip
        one.set(xscale="log", yscale="log", title=title, ylabel=unit, xlabel=what)
    ends, last = np.array([steady, series[0].spots[-1]]), series[0].seconds[-1]
    axes[0, 0].plot(ends, last / 3 * ends / ends[-1], "--", color=GREY, lw=1, label="in proportion: slope 1")
    for one in axes.flat:
        one.grid(color="#EEEEEE", linewidth=0.6)
        one.set_axisbelow(True)
        one.xaxis.set_minor_formatter(NullFormatter())
        one.legend(fontsize=8, loc="upper left", bbox_to_anchor=(0, -0.18))
    return figure
