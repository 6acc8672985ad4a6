"""The drawings of each checked slide: a picture of its spots, its image as tiles, and the layers on it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stimage.collection.checks.evidence import Evidence
from stimage.collection.page.layers import write_layers
from stimage.collection.page.overlay import Named, draw_overlay
from stimage.genes.names import kept_gene_table
from stimage.slides.catalog import Slide
from stimage.slides.images.reader import MAX_IMAGE_PIXELS
from stimage.slides.images.tiles import ZOOM, write_tiles

PICTURES, SMALL, TILES, LAYERS = "pictures", "thumbnails", "tiles", "layers"  # folders beside the page
VARYING = 3  # genes, unless some are named


@dataclass(frozen=True)
class Drawing:
    """The drawings to make, and their place.

    Parameters
    ----------
    out
        The folder of the page.
    colour
        Colour of the spots in pictures: "counts", "annotation", or a gene.
    zoom
        Longer side, in pixels, of the image to zoom into; 0 writes none.
    genes
        Genes to show on it; None takes the `VARYING` genes that differ most between a slide's spots.
    gene_table
        File of symbols and Ensembl ids. A slide with ids is asked by symbols, too, and pictures show both.
    """

    out: Path
    colour: str = "counts"
    zoom: int = ZOOM
    genes: Sequence[str] | None = None
    gene_table: str | None = None

    @property
    def wanted(self) -> list[str]:
        """The genes that the user asks for."""
        coloured = [] if self.colour in ("counts", "annotation") else [self.colour]
        return list(dict.fromkeys([*coloured, *(self.genes or () if self.zoom else ())]))

    def names(self, slide: Slide) -> dict[str, tuple[str, ...]]:
        """Return the names that each of these genes may have in a slide."""
        ids = kept_gene_table(self.gene_table, slide.species).ids if self.gene_table and self.wanted else {}
        return {gene: (gene, *ids.get(gene, ())) for gene in self.wanted}

    @property
    def varying(self) -> int:
        """The number of further genes that are chosen for each slide."""
        return VARYING if self.zoom and self.genes is None else 0

    def draw(self, e: Evidence, max_pixels: int = MAX_IMAGE_PIXELS) -> "Drawn":
        """Draw a slide, as far as it can be read."""
        picture, layers = (self.out / folder / e.slide.name for folder in (PICTURES, LAYERS))
        small = self.out / SMALL / f"{e.slide.name}.jpg"
        named = Named(self.names(e.slide), self.gene_table, e.slide.species)
        if (
            not draw_overlay(e, self.colour, named, picture.with_name(f"{picture.name}.jpg"), small)
            or e.picture is None
        ):
            return Drawn()
        if not self.zoom or e.image_path is None:
            return Drawn(picture=True)
        folder = self.out / TILES / e.slide.name
        tiles = write_tiles(e.image_path, folder, self.zoom, e.picture.file_digest, max_pixels)
        script = layers.with_name(f"{layers.name}.js")
        write_layers(e, tiles, named, script)
        return Drawn(picture=True, zoomed=tiles.bytes + script.stat().st_size)


@dataclass(frozen=True)
class Drawn:
    """Whether there is a picture of a slide, and how many bytes its tiles and layers have; 0 if it has none."""

    picture: bool = False
    zoomed: int = 0
