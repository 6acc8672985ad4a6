"""Which form a file of cells has: its content tells, never its name."""

from pathlib import Path

from stimage.cells.reading.json_files import MARK, WANTED, read_json
from stimage.cells.reading.label_images import NUMPY, TIFF, read_labels
from stimage.cells.reading.outlines import Found
from stimage.core.errors import DataError
from stimage.core.storage import check_readable
from stimage.core.tables import check_unzipped


def read_file(path: Path) -> Found:
    """Read a file of cells.

    Raises
    ------
    DataError
        If it can't be read, has none of the forms that are known, is damaged, or has no cells.
    """
    if path.is_dir():
        raise DataError(f"{path}: is a folder; name the file of cells in it")
    check_readable(str(path))
    with path.open("rb") as file:
        head = file.read(256)
    if head.startswith((NUMPY, *TIFF)):
        return read_labels(path)
    if not head.strip():
        raise DataError(f"{path}: is empty")
    if head.removeprefix(MARK).lstrip()[:1] in (b"[", b"{"):
        return read_json(path)
    check_unzipped(path)
    if path.suffix == ".snappy":
        raise DataError(f"{path}: is compressed; run python -m snappy -d {path.name} {path.stem}, of python-snappy")
    raise DataError(f"{path}: is none of {WANTED}, nor a label image (a TIFF or .npy of integers)")
