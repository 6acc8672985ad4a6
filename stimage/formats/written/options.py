"""The options of every writer of another format."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from stimage.cells.cells import Cells
from stimage.core.arguments import check_whole
from stimage.core.errors import DataError
from stimage.genes.dispersion import common_genes
from stimage.genes.names import Naming, places_among, rename_genes
from stimage.genes.panels import Panel
from stimage.slides.catalog import Slide
from stimage.slides.images.patches import Patch
from stimage.slides.images.pyramid import COMPRESSIONS
from stimage.slides.images.views import IMAGE_PX
from stimage.slides.missing import need_counts
from stimage.slides.spots import Spots

HEST_PATCH = Patch(112, 224)
READ_ALONE = "read images alone without panel= (--panel), and apart from other slides"
log = logging.getLogger(__name__)


@dataclass(eq=False)
class SpotVectors:
    """Embeddings of n spots of any slides, which are written beside counts.

    Attributes
    ----------
    where
        Their name in messages: their path.
    spot_ids
        Array of str (n,), sorted.
    vectors
        Float32 (n, d).
    taken
        The number of vectors that were asked for.
    """

    where: str
    spot_ids: np.ndarray
    vectors: np.ndarray
    taken: int = 0

    def of(self, ids: Sequence[str], on_mismatch: str) -> np.ndarray:
        """Return the vectors of spots (float32, len(ids) x d).

        Raises
        ------
        DataError
            If a spot has no vector; with ``on_mismatch`` "drop", its vector is NaN instead.
        """
        wanted = np.asarray(ids, dtype=str)
        at = np.searchsorted(self.spot_ids, wanted).clip(max=len(self.spot_ids) - 1)
        lost = self.spot_ids[at] != wanted
        if lost.any():
            few = f"{lost.sum():,} of {len(ids):,} spots, such as {ids[lost.argmax()]!r}"
            many = f"{self.where}: has no embedding of {few}"
            if on_mismatch != "drop":
                raise DataError(f"{many}; embed them too, or take NaN for them with on_mismatch='drop' "
                                "(--on-mismatch drop)")  # fmt: skip
            log.warning("%s: they are NaN", many)
        found = self.vectors[at]
        found[lost] = np.nan
        self.taken += int((~lost).sum())
        return found


@dataclass(frozen=True)
class HestOptions:
    """The options of HEST's files.

    Attributes
    ----------
    compression, quality
        Compression of the image, as `write_pyramid` takes it.
    patch
        The size of patches; None writes none.
    titles
        Titles of studies, by slide.
    """

    compression: str = "jpeg"
    quality: int = 90
    patch: Patch | None = HEST_PATCH
    titles: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.compression not in COMPRESSIONS:
            raise ValueError(f"compression= (--compression): {self.compression!r} is none of {', '.join(COMPRESSIONS)}")
        check_whole(self.quality, "quality", 1)
        if self.quality > 100:
            raise ValueError(f"quality= (--quality): {self.quality} is more than 100")


@dataclass(frozen=True, eq=False)
class ExportOptions:
    """The content and the form of written slides.

    Attributes
    ----------
    naming
        Names that genes get; None keeps the names of the files. Counts of genes that get the same name are added.
    panel
        The genes to write, under the names of its own table. None writes the genes that all slides have, in the order
        of the first.
    normalise
        The values of ``X``; see `stimage.genes.normalise.Normalisation`.
    image_px
        Longer side of the small image in pixels, at most, for formats that have one.
    on_mismatch
        As in `open_spots`.
    embeddings
        Key of ``obsm`` → the vectors to put there.
    hest
        The options of HEST's layout alone.
    columns
        Function that returns further columns of ``obs`` for a slide, by spot id. Every slide has the same columns; a
        spot that it lacks has NaN.
    cells
        Function that returns the cells of a slide, for a format that has a place for them.
    """

    naming: Naming | None = None
    panel: Panel | None = None
    normalise: str = "counts"
    image_px: int = IMAGE_PX
    on_mismatch: str = "error"
    embeddings: Mapping[str, SpotVectors] = field(default_factory=dict)
    hest: HestOptions = field(default_factory=HestOptions)
    columns: Callable[[Slide], pd.DataFrame] | None = None
    cells: Callable[[Slide], Cells] | None = None

    def genes_of(self, slides: Sequence[Slide]) -> list[str]:
        """Return the genes to write: those of a panel, or those that all slides have; none for images alone."""
        if self.panel or not all(slide.image_alone for slide in slides):
            need_counts(slides, "a panel" if self.panel else "one AnnData of several slides", READ_ALONE)
            return list(self.panel.genes) if self.panel else common_genes(slides, self.naming)
        return []

    def places(self, spots: Spots, genes: Sequence[str]) -> np.ndarray:
        """Return, for each gene of a slide, its place among the written genes, or -1."""
        if self.panel:
            return self.panel.places_in(spots.genes, spots.counts_path, spots.slide.species)
        return places_among(genes, *rename_genes(spots.genes, self.naming, spots.slide.species, spots.counts_path))
