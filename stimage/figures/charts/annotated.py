"""Draw annotated slides of several studies on one sheet, after figure 4 of the data set's authors."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from stimage.figures.colours import label_looks, legend_of, look_of
from stimage.figures.shapes import LabelledSlide
from stimage.figures.style import add_legend, shortened, styled
from stimage.figures.views import INSET, show_slide

COLUMNS, SIDE = 3, 4.2  # slides beside one another, and inches of each
LINE = 0.19  # inches of a line of a legend


@styled
def annotated_slides(slides: Sequence[tuple[LabelledSlide, str]]) -> Figure:
    """Draw slides with rings in the colours of their labels, three in a row, each with its own legend below.

    Parameters
    ----------
    slides
        Each slide with the text below its name in the title.
    """
    columns = min(COLUMNS, len(slides))
    rows = [slides[k : k + columns] for k in range(0, len(slides), columns)]
    tall = [max(_inches(slide) for slide, _ in row) for row in rows]
    figure = Figure((SIDE * columns, sum(tall)), layout="constrained")
    panels = figure.subfigures(len(rows), columns, squeeze=False, height_ratios=tall)
    for part, (slide, said) in zip(panels.flat, slides):
        axes, looks = part.subplots(), label_looks(slide.labels)
        show_slide(axes, slide.image, slide.shapes, [look_of(label, looks) for label in slide.labels])
        axes.set_title(f"{shortened(slide.name, 48)}\n{said}", fontsize=9)
        add_legend(part, legend_of(slide.labels, looks), loc="outside lower center", ncols=2)
    return figure


def _inches(slide: LabelledSlide) -> float:
    """Return the height that a slide takes: its image, all of the image, its title and its legend."""
    high, wide, _ = slide.image.view.pixels.shape
    entries = len({*slide.labels})
    return SIDE * min(high / wide, 1.5) + (INSET if slide.image.beside else 0.3) + 0.8 + LINE * -(-entries // 2)
