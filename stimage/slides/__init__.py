"""Reading a root: which slides it has, and a slide's spots with their patches and counts."""

from stimage.slides.catalog import TECHS, Catalog, Filters, Slide, read_catalog
from stimage.slides.images import MAX_PIXELS
from stimage.slides.patches import Patch
from stimage.slides.spots import Batch, Spots, open_spots, read_batches

__all__ = [
    "MAX_PIXELS",
    "TECHS",
    "Batch",
    "Catalog",
    "Filters",
    "Patch",
    "Slide",
    "Spots",
    "open_spots",
    "read_batches",
    "read_catalog",
]
