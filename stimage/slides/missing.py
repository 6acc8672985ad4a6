"""Missing parts of a slide: a file, its row of the meta file, or, for an image alone, counts."""

import os
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING

from stimage.core.errors import DataError, shown
from stimage.slides.slide_files import REQUIRED_FILES

if TYPE_CHECKING:
    from stimage.slides.catalog import Slide

LEAVE_OUT = "leave such slides out by exclude= (--exclude)"


def problem_of(root: str, slide: "Slide", row: Mapping[str, str] | None, meta_file: str | None) -> str | None:
    """Say what keeps a slide from being read: a missing file, a missing row of the meta file, or counts of no gene."""
    if slide.image_alone and slide.counts:
        return (f"{root}/{meta_file}: gene_num of slide {slide.name!r} is 0, as for an image alone, but the slide has "
                f"the count file {slide.counts}; correct gene_num, or remove the count file")  # fmt: skip
    for part, (folder, suffixes) in REQUIRED_FILES.items():
        if not getattr(slide, part) and not (part == "counts" and slide.image_alone):
            return f"{root}/{slide.tech}/{folder}/{slide.name}{suffixes[0]}: is missing"
    if meta_file and row is None:
        return f"{root}/{meta_file}: has no row for slide {slide.name!r}, which has files in {slide.tech}; add one"
    return None


def half_placed(root: str, slide: "Slide", waiting: Collection[str]) -> bool:
    """Tell whether some of a slide's files are new, and others are of before, as the new ones still wait."""
    places = {os.path.relpath(url, root) for part in REQUIRED_FILES if (url := getattr(slide, part))}
    return not places.isdisjoint(waiting) and not {*map(os.path.dirname, places)} <= {*map(os.path.dirname, waiting)}


def need_counts(slides: Iterable["Slide"], what: str, remedy: str = LEAVE_OUT) -> None:
    """Refuse images alone where counts are needed.

    Parameters
    ----------
    what
        The job that needs counts, for the error.
    remedy
        The advice of the error.

    Raises
    ------
    DataError
        If a slide is an image alone; the error names such slides.
    """
    if alone := [slide.name for slide in slides if slide.image_alone]:
        raise DataError(f"{what} needs counts, and images alone have none: {shown(alone, 5)}; {remedy}")
