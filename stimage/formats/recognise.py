"""Which format a path is of, and its reader."""

from collections.abc import Callable
from pathlib import Path

from stimage.core.errors import DataError
from stimage.formats.h5ad import read_h5ad
from stimage.formats.imported import ImportedSlide, ImportOptions
from stimage.formats.st_tables import is_st_tables, read_st_tables
from stimage.formats.tenx.space_ranger import read_space_ranger

Reader = Callable[[Path, ImportOptions], ImportedSlide]
ZARR = ("zarr.json", ".zgroup", ".zattrs")


def read_source(path: Path, options: ImportOptions) -> ImportedSlide:
    """Read a slide of another format: Space Ranger's folder, a .h5ad file, or tables of legacy ST.

    Raises
    ------
    DataError
        Naming the file and the cause, as the format's reader does; or if it is of no format that is read.
    """
    if read := next((read for recognises, read in FORMATS if recognises(path)), None):
        return read(path, options)
    raise DataError(f"{path}: {_instead(path)}; name Space Ranger's folder outs, or a .h5ad file of one slide, or "
                    "legacy ST's table of counts, whose spots are called as 10x13 is")  # fmt: skip


def _is_store(path: Path) -> bool:
    return path.is_dir() and any((path / name).exists() for name in ZARR)


FORMATS: tuple[tuple[Callable[[Path], bool], Reader], ...] = (
    (is_st_tables, read_st_tables),
    (lambda path: path.is_dir() and not _is_store(path), read_space_ranger),
    (lambda path: path.suffix.lower() == ".h5ad", read_h5ad),
)


def _instead(path: Path) -> str:
    """Say what it is, if it is known, and what to do."""
    if not path.exists():
        return "there is no such file or folder"
    if _is_store(path):
        return "is a Zarr store; of a SpatialData one, spatialdata_io.experimental.to_legacy_anndata makes a .h5ad file"
    if path.suffix.lower() == ".h5":
        return "is a file of counts alone, without positions; name the folder that has it and the folder spatial"
    return "is of no format that is read here"
