"""Which format a path is of, and its reader."""

from pathlib import Path

from stimage.formats.h5ad import read_h5ad
from stimage.formats.imported import ImportedSlide, ImportOptions
from stimage.formats.tenx.space_ranger import read_space_ranger


def read_source(path: Path, options: ImportOptions) -> ImportedSlide:
    """Read a slide of another format: Space Ranger's folder, or a .h5ad file.

    Raises
    ------
    DataError
        Naming the file and the cause, as the format's reader does.
    """
    return (read_space_ranger if path.is_dir() else read_h5ad)(path, options)
