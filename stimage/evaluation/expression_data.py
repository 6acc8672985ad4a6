"""Inputs of expression prediction: a slide's embeddings, positions, counts and colours, spot by spot."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stimage.core.errors import DataError
from stimage.core.storage import local_copy
from stimage.genes.normalise import fit_normalisation
from stimage.genes.panels import Panel
from stimage.loading.embeddings import Embeddings
from stimage.scores.ceilings import count_noise
from stimage.slides.catalog import Slide
from stimage.slides.images.patches import Patch
from stimage.slides.missing import need_counts
from stimage.slides.spots import Spots, open_spots


@dataclass(frozen=True, eq=False)
class EmbeddedSlide:
    """The n spots of a slide that have embeddings, by spot id: ids (n str) and vectors (float32, n x d)."""

    slide: Slide
    spot_ids: np.ndarray
    vectors: np.ndarray

    def __len__(self) -> int:
        return len(self.spot_ids)

    def take(self, rows: np.ndarray) -> "EmbeddedSlide":
        return EmbeddedSlide(self.slide, self.spot_ids[rows], self.vectors[rows])


@dataclass(frozen=True, eq=False)
class Expression:
    """Log expression of n spots: ``values`` (float32, n x genes), each spot's total count over all genes, and the
    ``scale`` of its counts: values are log1p(scale * count) (both n)."""

    values: np.ndarray
    totals: np.ndarray
    scale: np.ndarray

    def take(self, rows: np.ndarray) -> "Expression":
        return Expression(self.values[rows], self.totals[rows], self.scale[rows])

    def noise(self) -> np.ndarray:
        """Return the variance that counting gives each value (float32, n x genes): see `count_noise`."""
        scale = np.where(self.scale > 0, self.scale, 1)
        return count_noise(np.rint(np.expm1(self.values, dtype=np.float64) / scale[:, None]), scale)


def embedded_slides(
    embeddings: Embeddings, known: Sequence[Slide], wanted: Sequence[Slide]
) -> tuple[list[EmbeddedSlide], list[str]]:
    """Split embeddings by slide, in the order of ``wanted``; return also the names of wanted slides that have none.

    Raises
    ------
    DataError
        If embeddings belong to slides that the root (``known``) lacks, or none is left.
    """
    names = {slide.name for slide in known}
    present = np.unique(embeddings.slides).tolist()
    if strange := [name for name in present if name not in names]:
        raise DataError(
            f"{len(strange)} of the embeddings' {len(present)} slides are not in the root, such as {strange[0]!r}; "
            "pass the root that the embeddings were made from"
        )
    found, without = [], []
    for slide in wanted:
        rows = np.flatnonzero(embeddings.slides == slide.name)
        if len(rows):
            found.append(EmbeddedSlide(slide, embeddings.spot_ids[rows], embeddings.vectors[rows]))
        else:
            without.append(slide.name)
    if not found:
        raise DataError("no wanted slide has embeddings; embed them first, or loosen the filters")
    return found, without


def read_expression(one: EmbeddedSlide, panel: Panel, kind: str) -> Expression:
    """Read a panel's expression of a slide's spots, in the memory of some rows of the file and of the result.

    Parameters
    ----------
    kind
        Normalisation of the counts: "log1p" or "median-log1p"; see `stimage.genes.normalise.Normalisation`.

    Raises
    ------
    DataError
        If the slide is an image alone or lacks a gene, or one of its files lacks a spot.
    """
    need_counts([one.slide], "expression")
    spots, at = spots_of(one)
    places = panel.places_in(spots.genes, spots.counts_path, one.slide.species)
    normal = fit_normalisation(kind, spots, places)
    values, totals = np.zeros((len(one), len(panel.genes)), np.float32), np.zeros(len(one))
    for some, rows in spots.blocks(at):
        totals[some] = rows.totals()
        values[some] = normal.dense(rows.dense(places, len(panel.genes)), totals[some])
    return Expression(values, totals, normal.scale(totals))


def read_places(one: EmbeddedSlide) -> tuple[np.ndarray, np.ndarray]:
    """Return where a slide's spots are (n x 2: x and y, pixels of the slide image), and their radii (n)."""
    spots, at = spots_of(one)
    return np.stack([spots.x, spots.y], 1)[at], spots.r[at]


def slide_colours(slide: Slide, x: np.ndarray, y: np.ndarray, r: np.ndarray) -> np.ndarray:
    """Return mean and standard deviation of red, green and blue over the squares of 2r around places of a slide.

    Parameters
    ----------
    x, y, r
        Places and radii (n), in pixels of the slide's image.

    Returns
    -------
    np.ndarray
        float32 (n x 6).
    """
    table = np.empty((len(x), 6), np.float32)
    rows = np.argsort(y, kind="stable")  # the order that images are read in
    for row, pixels in zip(rows, Patch().cut(local_copy(slide.image, slide.access), x[rows], y[rows], r[rows])):
        table[row] = np.concatenate([pixels.mean((0, 1)), pixels.std((0, 1))])
    return table


def spots_of(one: EmbeddedSlide) -> tuple[Spots, np.ndarray]:
    """Return a slide's spots, and the place among them of each spot that has an embedding."""
    spots = open_spots(one.slide, "drop")
    at = pc.fill_null(pc.index_in(pa.array(one.spot_ids.tolist(), pa.string()), spots.ids), -1).to_numpy()
    if (missing := at < 0).any():
        spot = str(one.spot_ids[int(missing.argmax())])
        where = one.slide.counts or one.slide.coord
        raise DataError(
            f"{where}: lacks spot {spot!r}, which the embeddings have (it lacks {missing.sum()} of their {len(one)} "
            "spots); pass the root that the embeddings were made from"
        )
    return spots, at
