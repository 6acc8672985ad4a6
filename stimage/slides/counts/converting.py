"""Convert the counts of a slide: the wide CSV to sparse HDF5, or back."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from stimage.core.errors import DataError
from stimage.core.files import locked
from stimage.core.storage import local_copy
from stimage.core.together import finish_placing, place, staged
from stimage.slides.catalog import Slide
from stimage.slides.counts.count_file import read_counts, read_names
from stimage.slides.counts.writing import write_csv, write_h5

WRITERS: dict[str, Callable] = {"csv": write_csv, "h5": write_h5}


@dataclass(frozen=True)
class Converted:
    """A slide with converted counts, and the bytes of its count file before and after."""

    slide: str
    before: int
    after: int


def convert(slides: Iterable[Slide], root: Path, to: str) -> Iterator[Converted]:
    """Rewrite the counts of a root's slides in another form, in place of the old files.

    Parameters
    ----------
    to
        "csv", or "h5" for 10x Genomics' HDF5.

    Raises
    ------
    DataError
        If counts can't be read, or are not raw and should become HDF5. The file of this slide is then as it was.
    """
    finish_placing(root)
    for slide in slides:
        path = Path(slide.counts)
        if slide.counts == slide.coord:
            raise DataError(f"{path}: is a file of HEST's, which has more than counts; it stays as it is")
        new = path.with_name(path.name.rpartition("_count.")[0] + f"_count.{to}")
        before = 0
        try:
            before = path.stat().st_size
            if new != path:
                _write(path, new, root, to)
        except (DataError, FileNotFoundError):
            if path.exists() or not new.exists():  # else another process has done the same meanwhile
                raise
        yield Converted(slide.name, before, new.stat().st_size)


def _write(path: Path, new: Path, root: Path, to: str) -> None:
    """Write a slide's counts into a new file, instead of that which they are in."""
    with staged(root) as stage:
        source = local_copy(str(path))
        WRITERS[to](stage / new.relative_to(root), read_names(source), read_counts(source))
        with locked(root):
            place(stage, root, [str(path.relative_to(root))])
