"""Choosing slides of a catalog: by name, without some, or by what the meta file says."""

import difflib
import logging
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from stimage.core.errors import DataError, shown
from stimage.slides.meta_file import META_FILE
from stimage.slides.names import check_name, fold_name, slide_names, texts_of

if TYPE_CHECKING:
    from stimage.slides.catalog import Catalog, Slide

log = logging.getLogger(__name__)


def named(catalog: "Catalog", names: list[str]) -> list["Slide"]:
    """Return the slides with these names; raises `DataError` for a name that no slide has."""
    known = {fold_name(slide.name) for slide in catalog.slides}
    for name in names:
        check_name(name, "slides=")
        if fold_name(name) not in known:
            raise DataError(unknown_slide(catalog, name))
    wanted = {fold_name(name) for name in names}
    return [slide for slide in catalog.slides if fold_name(slide.name) in wanted]


def without(catalog: "Catalog", slides: list["Slide"], exclude: str | os.PathLike | Iterable[str]) -> list["Slide"]:
    """Return the slides that are not excluded; raises `DataError` if none is left."""
    names, known = slide_names(exclude), {fold_name(slide.name) for slide in (*catalog.slides, *catalog.elsewhere)}
    excluded = {fold_name(name) for name in names}
    told = known | (catalog.meta or {}).keys()
    if names and not excluded & told and texts_of(exclude) == names:  # it is no file, which may be of more roots
        raise DataError(f"exclude= (--exclude): {unknown_slide(catalog, names[0])}")
    if absent := len(excluded - known):
        log.warning("%d of %d excluded slides are not in %s", absent, len(excluded), catalog.root)
    if left := [slide for slide in slides if fold_name(slide.name) not in excluded]:
        return left
    raise DataError(f"{catalog.root}: all slides that match are excluded")


def unknown_slide(catalog: "Catalog", name: str) -> str:
    """Say that a catalog has no slide of this name, and which there are."""
    if catalog.meta and (row := catalog.meta.get(fold_name(name))):
        coord = f"{row.get('tech') or 'ST|Visium|VisiumHD'}/coord/{name}_coord.csv"
        return f"{catalog.root}: slide {name!r} is in {catalog.meta_file} but has no files here; expected {coord}"
    names = [slide.name for slide in catalog.slides]
    near = difflib.get_close_matches(name, names, 3, 0.5)
    hint = f"did you mean {', '.join(near)}?" if near else f"there are: {shown(names)}"
    return f"{catalog.root}: has no slide {name!r}; {hint}"


def matching(catalog: "Catalog", slides: list["Slide"], key: str, wanted: list[str]) -> list["Slide"]:
    """Return the slides that have one of the wanted values; raises `DataError` for a value that no slide has."""
    if catalog.meta is None:
        raise DataError(f"{catalog.root}/meta/{META_FILE}: is missing, so slides cannot be chosen by {key}")
    values = {slide.name: _values(slide, key) for slide in slides}
    known = sorted({value for slide in catalog.slides for value in _values(slide, key)})
    if unknown := [value for value in wanted if value not in known]:
        raise DataError(f"{catalog.root}: no slide has {key} {unknown[0]!r}; there are: {shown(known)}")
    return [slide for slide in slides if values[slide.name] & set(wanted)]


def _values(slide: "Slide", key: str) -> set[str]:
    values = slide.pmids if key == "pmid" else (getattr(slide, key),)
    return {str(value).strip() for value in values if value is not None}
