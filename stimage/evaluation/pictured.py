"""What pictures of a slide are drawn of: where its spots are, its tissue, its patches, a gene and its prediction."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from matplotlib.figure import Figure
from scipy.ndimage import binary_fill_holes, distance_transform_edt, label

from stimage.evaluation.expression import SlidePrediction
from stimage.evaluation.expression_data import spots_of
from stimage.figures.shapes import LabelledSlide, SpotShapes
from stimage.figures.sheets import Gene, overview
from stimage.genes.names import read_gene_table
from stimage.scores.ridge import fair_pearson
from stimage.slides.catalog import Slide
from stimage.slides.images.patches import Patch
from stimage.slides.images.tissue import find_tissue
from stimage.slides.images.views import read_views, shapes_of, slide_image, whole
from stimage.slides.labels import is_label
from stimage.slides.splits.groups import merge_groups
from stimage.slides.spots import Spots

LONGEST, LEAST = 800, 900  # pixels of the thumbnail on which tissue is looked for; of the slide's picture
FINE = 1400  # of the picture of a slide whose every spot is to be seen
CRUMB = 0.02  # of all tissue: smaller pieces have no outline
LABELS, PATCHES = 4, 3  # rows of patches, and how many in each
UNITS = {"median-log1p": "log1p of normalised counts", "log1p": "log1p of counts"}  # by normalisation


def mapped_shapes(spots: Spots, at: np.ndarray | None = None) -> SpotShapes:
    """Return spots, or those at some places, with the tissue's outline; the image is read once."""
    shapes, part = shapes_of(spots, spots.slide, spots.scale), whole(spots.image_info, LONGEST)
    (view,) = read_views(spots.image_path, [part], spots.max_pixels)
    tissue = outlined(find_tissue(view.pixels), 2 * float(np.median(spots.r)) / view.step)
    at = np.arange(len(spots)) if at is None else at
    return replace(shapes, xy=shapes.xy[at], r=shapes.r[at], tissue=tissue, tissue_step=view.step)


def outlined(tissue: np.ndarray, width: float) -> np.ndarray:
    """Return tissue (bool, h x w) fit for an outline: gaps of some ``width`` closed, holes filled, without crumbs."""
    room = int(2 * width) + 1
    near = distance_transform_edt(~np.pad(tissue, room)) <= width
    closed = binary_fill_holes(distance_transform_edt(near) > width)[room:-room, room:-room]
    pieces, _ = label(closed)
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    return (sizes > CRUMB * sizes.sum())[pieces]


def labelled_slide(spots: Spots) -> LabelledSlide:
    """Return a slide's image where its spots are, and their labels."""
    shapes = shapes_of(spots, spots.slide, spots.scale)
    labels = [label if is_label(label) else None for label in spots.annotation.to_pylist()]
    return LabelledSlide(spots.slide.name, slide_image(spots, shapes, FINE), shapes, labels)


def studied_slides(slides: Sequence[Slide], every: Sequence[Slide], each: bool) -> list[tuple[Slide, str]]:
    """Return the first annotated slide of each study, or ``each`` annotated slide, and what to say of it.

    Slides of no known study are studies of their own; studies that share a slide are one. ``every`` slide is counted.
    """
    study = merge_groups({slide.name: slide.pmids or (slide.name,) for slide in every if slide.annotation})
    sizes, chosen = Counter(study.values()), {}
    for slide in slides:
        if slide.annotation:
            chosen.setdefault(slide.name if each else study[slide.name], slide)
    return [(slide, f"{f'study {study[slide.name]}, ' if slide.pmids else ''}n = {sizes[study[slide.name]]}")
            for slide in chosen.values()]  # fmt: skip


def draw_overview(
    spots: Spots, labels: Sequence[str | None], prediction: SlidePrediction, name: str, unit: str
) -> Figure:
    """Draw a slide with its spots, patches of its commonest labels, and the first predicted gene beside its truth.

    Parameters
    ----------
    labels
        One for each spot.
    name, unit
        What the gene is to be called, and what its values are.
    """
    shapes = shapes_of(spots, spots.slide, spots.scale)
    image = slide_image(spots, shapes, LEAST)
    truth, predicted = prediction.truth[:, :1], prediction.predicted[:, :1]
    gene = Gene(name, truth[:, 0], predicted[:, 0], unit, fair_pearson(truth, predicted)[0])
    return overview(image, shapes, labels, _patches(spots, labels), mapped_shapes(*spots_of(prediction.spots)), gene)


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


def titles_of(genes: Sequence[str], gene_table: str | None, species: str | None) -> list[str]:
    """Return what genes are called in a picture: symbols, beside Ensembl ids that the table knows."""
    if not gene_table:
        return list(genes)
    symbols = read_gene_table(gene_table, species).symbols
    named = [symbols.get(gene.partition(".")[0], gene) for gene in genes]
    return [gene if name == gene else f"{name} ({gene})" for name, gene in zip(named, genes)]
