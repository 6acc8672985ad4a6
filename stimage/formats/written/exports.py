"""Which formats slides are written in, and their writers, which are imported when they are wanted."""

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
        The writer's name, behind its module's: a function of slides, a path and `ExportOptions`, and, where files may
        have several slides, of ``progress``.
    suffix
        What ends the name of a slide's file.
    joins
        Whether a file may have several slides.
    """

    writer: str
    suffix: str
    joins: bool = False

    @property
    def write(self) -> Callable[..., None]:
        """The writer."""
        module, _, name = self.writer.rpartition(".")
        return getattr(import_module(f"stimage.formats.written.{module}"), name)

    def target(self, folder: Path, slide: str) -> Path:
        """Return where a slide is written."""
        return folder / f"{slide}{self.suffix}"


EXPORTS = {
    "h5ad": Export("anndata_files.write_h5ad", ".h5ad", joins=True),
    "spatialdata": Export("spatialdata_store.write_store", ".zarr"),
}
