"""What every writer of another format takes."""

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
    """Embeddings of n spots of any slides, to be put beside counts.

    Attributes
    ----------
    where
        What messages call them: their path.
    spot_ids
        Array of str (n,), sorted.
    vectors
        Float32 (n, d).
    taken
        How many of them were asked for.
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
            If a spot has none; with ``on_mismatch`` "drop", its vector is NaN.
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
    """How HEST's files are written.

    Attributes
    ----------
    compression, quality
        The image's, as `write_pyramid` takes them.
    patch
        The patches, None for none.
    titles
        Of studies, by slide.
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
    """What is written of slides, and how.

    Attributes
    ----------
    naming
        What genes are called; without it, as in the files. Counts of genes that come to one name are added.
    panel
        The genes to write, named by its own table; without it, those that all slides have, in the order of the first.
    normalise
        What ``X`` is of the counts; see `stimage.genes.normalise.Normalisation`.
    image_px
        Of a format that has a small image: pixels of its longer side, at most.
    on_mismatch
        As `open_spots` takes it.
    embeddings
        Key of ``obsm`` → the vectors to put there.
    hest
        What HEST's layout alone has.
    columns
        Gives what ``obs`` has besides, by spot id, of a slide: the same columns of each; NaN where it has no such spot.
    cells
        Gives the cells of a slide, which a format with places of its own for them has, too.
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
        """Return the genes that are written: those of a panel, or that all slides have; of images alone, none."""
        if self.panel or not all(slide.image_alone for slide in slides):
            need_counts(slides, "a panel" if self.panel else "one AnnData of several slides", READ_ALONE)
            return list(self.panel.genes) if self.panel else common_genes(slides, self.naming)
        return []

    def places(self, spots: Spots, genes: Sequence[str]) -> np.ndarray:
        """Return, for each gene of a slide, its place among those that are written, or -1."""
        if self.panel:
            return self.panel.places_in(spots.genes, spots.counts_path, spots.slide.species)
        return places_among(genes, *rename_genes(spots.genes, self.naming, spots.slide.species, spots.counts_path))
