"""The subjects of pictures of a slide: its spots, its tissue, its patches, a gene and its prediction."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from matplotlib.figure import Figure

from stimage.evaluation.expression import SlidePrediction
from stimage.evaluation.expression_data import spots_of
from stimage.figures.shapes import LabelledSlide, SpotShapes
from stimage.figures.sheets import Gene, overview
from stimage.scores.ridge import fair_pearson
from stimage.slides.catalog import Slide
from stimage.slides.images.patches import Patch
from stimage.slides.images.views import WHOLE_PX, read_views, shapes_of, slide_image, whole, with_tissue
from stimage.slides.labels import is_label
from stimage.slides.splits.groups import merge_groups
from stimage.slides.spots import Spots

LEAST, FINE = 900, 1400  # pixels of a slide's picture, and of one whose every spot is to be seen
LABELS, PATCHES = 4, 3  # rows of patches, and how many in each
UNITS = {"median-log1p": "log1p of normalised counts", "log1p": "log1p of counts"}  # by normalisation


def mapped_shapes(spots: Spots, at: np.ndarray | None = None, outline: bool = True) -> SpotShapes:
    """Return spots, or those at some places, with the tissue's outline; the image is read once."""
    shapes = shapes_of(spots, spots.slide, spots.scale)
    if outline:
        (view,) = read_views(spots.image_path, [whole(spots.image_info, WHOLE_PX)], spots.max_pixels)
        shapes = with_tissue(shapes, view)
    at = np.arange(len(spots)) if at is None else at
    return replace(shapes, xy=shapes.xy[at], r=shapes.r[at])


def labelled_slide(spots: Spots, outline: bool = True) -> LabelledSlide:
    """Return a slide's image around its spots, and their labels."""
    shapes = shapes_of(spots, spots.slide, spots.scale)
    image = slide_image(spots, shapes, FINE)
    if outline and image.whole is not None:
        shapes = with_tissue(shapes, image.whole)
    labels = [label if is_label(label) else None for label in spots.annotation.to_pylist()]
    return LabelledSlide(spots.slide.name, image, shapes, labels)


def studied_slides(slides: Sequence[Slide], every: Sequence[Slide], each: bool) -> list[tuple[Slide, str]]:
    """Return the first annotated slide of each study, or with ``each`` all annotated slides, and a text about each.

    Slides without a known study are studies of their own. Studies that share a slide are one. ``every`` slide is
    counted.
    """
    study = merge_groups({slide.name: slide.pmids or (slide.name,) for slide in every if slide.annotation})
    sizes, chosen = Counter(study.values()), {}
    for slide in slides:
        if slide.annotation:
            chosen.setdefault(slide.name if each else study[slide.name], slide)
    return [(slide, f"{f'study {study[slide.name]}, ' if slide.pmids else ''}n = {sizes[study[slide.name]]}")
            for slide in chosen.values()]  # fmt: skip


def draw_overview(
    spots: Spots,
    labels: Sequence[str | None],
    prediction: SlidePrediction,
    name: str,
    unit: str,
    outline: bool = True,
) -> Figure:
    """Draw a slide with its spots, patches of its commonest labels, and the first predicted gene beside its truth.

    Parameters
    ----------
    labels
        One for each spot.
    name, unit
        The name of the gene in the picture, and the unit of its values.
    """
    shapes = shapes_of(spots, spots.slide, spots.scale)
    image = slide_image(spots, shapes, LEAST)
    mapped = mapped_shapes(*spots_of(prediction.spots), outline)
    shapes = replace(shapes, tissue=mapped.tissue, tissue_step=mapped.tissue_step)
    truth, predicted = prediction.truth[:, :1], prediction.predicted[:, :1]
    gene = Gene(name, truth[:, 0], predicted[:, 0], unit, fair_pearson(truth, predicted)[0])
    return overview(image, shapes, labels, _patches(spots, labels), mapped, gene)


def _patches(spots: Spots, labels: Sequence[str | None]) -> dict[str, list[np.ndarray]]:
    """Cut patches of the commonest labels, of spots from all over the slide that lie wholly on its image."""
    size = spots.image_info.width, spots.image_info.height
    inside = np.all([(v >= spots.r) & (v + spots.r <= n) for v, n in zip((spots.x, spots.y), size)], axis=0)
    found = {}
    for name, _ in Counter(filter(None, labels)).most_common(LABELS):
        mine = np.flatnonzero(inside & np.array([label == name for label in labels]))
        some = mine[np.unique(np.linspace(0, len(mine) - 1, PATCHES + 2).astype(int)[1:-1])] if len(mine) else mine
        x, y, r = spots.x[some], spots.y[some], spots.r[some]
        found[name] = list(Patch().cut(spots.image_path, x, y, r, spots.scale, spots.max_pixels))
    return found
