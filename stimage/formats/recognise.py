"""Recognise the format of a path, and call its reader."""

from collections.abc import Callable
from pathlib import Path

from stimage.core.errors import DataError
from stimage.core.tables import check_unzipped
from stimage.formats.alone.reading import is_image, read_image_alone
from stimage.formats.h5ad import read_h5ad
from stimage.formats.imported import ImportedSlide, ImportOptions, reading
from stimage.formats.spatialdata_stores import read_spatialdata
from stimage.formats.st_tables import is_st_tables, read_st_tables
from stimage.formats.stored.store import is_store
from stimage.formats.tenx.space_ranger import read_space_ranger

Reader = Callable[[Path, ImportOptions], ImportedSlide]


def read_source(path: Path, options: ImportOptions) -> ImportedSlide:
    """Read a slide of another format: Space Ranger's, AnnData's, SpatialData's, legacy ST's tables, or an image alone.

    Raises
    ------
    DataError
        As in the format's reader, with the file and the cause; or if the format is not known.
    """
    with reading(path, "a slide's folder or file"):
        read = next((read for recognises, read in FORMATS if recognises(path)), None)
    if read:
        return read(path, options)
    remedy = (
        "name Space Ranger's folder outs, or a .h5ad file of one slide, or a SpatialData store, or legacy ST's table "
        "of counts, whose spots are called as 10x13 is, or an image alone"
    )
    raise DataError(f"{path}: {_instead(path)}; {remedy}")


FORMATS: tuple[tuple[Callable[[Path], bool], Reader], ...] = (
    (is_image, read_image_alone),
    (is_store, read_spatialdata),
    (is_st_tables, read_st_tables),
    (Path.is_dir, read_space_ranger),
    (lambda path: path.suffix.lower() == ".h5ad", read_h5ad),
)


def _instead(path: Path) -> str:
    """Say what it is, if it is known, and what to do."""
    if not path.exists():
        return "there is no such file or folder"
    if path.name.lower().endswith((".zarr.zip", ".zarr.tar", ".zarr.tar.gz", ".zarr.tgz")):
        return "is a packed store; unpack it first, and name the folder"
    if path.suffix.lower() == ".h5":
        return "is a file of counts alone, without positions; name the folder that has it and the folder spatial"
    if path.is_file():
        check_unzipped(path)
    return "is of no format that is read here"
