"""The formats that slides are written in, and their writers, which are imported when they are needed."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path


@dataclass(frozen=True)
class Export:
    """A format.

    Attributes
    ----------
    writer
        The module and name of the writer: a function of slides, a path and `ExportOptions`, and, where it takes several
        slides, of ``progress``.
    path
        The place of a slide's file below the folder, with {} for the slide's name.
    options
        The options of `export_slides` that it takes, in addition to those of every format.
    folder
        Whether the path that the writer takes is always the folder of all slides.
    """

    writer: str
    path: str
    options: frozenset[str]
    folder: bool = False

    @property
    def write(self) -> Callable[..., None]:
        """The writer."""
        module, _, name = self.writer.rpartition(".")
        return getattr(import_module(f"stimage.formats.{module}"), name)

    def target(self, folder: Path, slide: str) -> Path:
        """Return the path that a slide is written to."""
        return folder / self.path.format(slide)


TABLE = frozenset({"panel", "normalise", "gene_table", "names", "image_px", "embeddings", "cells"})
HEST = frozenset({"compression", "quality", "patch", "upsample", "patches"})
EXPORTS = {
    "h5ad": Export("written.anndata_files.write_h5ad", "{}.h5ad", TABLE | {"one_file"}),
    "spatialdata": Export("written.spatialdata_store.write_store", "{}.zarr", TABLE),
    "hest": Export("hest.writing.write_hest", "st/{}.h5ad", HEST, folder=True),
}
