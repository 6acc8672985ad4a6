"""The slides of a root with their rows of the meta file, and the choice of some of them."""

import logging
import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from stimage.core.access import OPEN, Access, is_local
from stimage.core.errors import DataError
from stimage.core.storage import list_folder, normal_root, pinned
from stimage.core.together import not_in_place, replaced
from stimage.slides.choosing import matching, named, unknown_slide, without
from stimage.slides.hest.folder import METADATA, Sample, read_samples
from stimage.slides.meta_file import find_meta, read_meta
from stimage.slides.missing import half_placed, problem_of
from stimage.slides.names import fold_name, slide_names, texts_of
from stimage.slides.scale.given import OPTION, given_scales, read_um_per_px
from stimage.slides.slide_files import REQUIRED_FILES, slide_files

TECHS = ("ST", "Visium", "VisiumHD")
ON_MISMATCH = ("error", "drop")
READ_FILES = (*REQUIRED_FILES, "annotation")  # of a slide, which its examples are made of
FILE_KINDS = (*READ_FILES, "cells")  # and what they are made of by option
PUBLISHED = "slides.parquet"  # tells a published folder from a root
BYTES_PER_SPOT = 75  # of a coord file
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Slide:
    """One image with its spots: the places of its files, and its row of the meta file.

    ``coord``, ``counts``, ``image``, ``annotation`` and ``cells`` are paths or URLs. Without a meta file, its values
    are None. ``size`` is the size of the coord file in bytes. ``um_per_px`` is a given scale with its giver. For
    samples of HEST, there are also ``study``, ``patient``, the pitch and diameter of spots in µm (``grid_um``), and the
    width and height of the image (``image_size``). ``access`` is the access to the files' server. ``stamps`` are the
    stamps of files by part, as far as they are known (see `stimage.slides.freshness.with_stamps`).
    """

    name: str
    tech: str
    coord: str
    counts: str
    image: str
    annotation: str | None = None
    species: str | None = None
    tissue: str | None = None
    pmid: str | None = None
    involve_cancer: bool | None = None
    spot_num: int | None = None
    size: int | None = None
    um_per_px: float | None = None
    um_per_px_source: str | None = None
    study: str | None = field(default=None, compare=False)
    patient: str | None = field(default=None, compare=False)
    grid_um: tuple[float, float] | None = None
    image_size: tuple[int, int] | None = None
    access: Access = field(default=OPEN, compare=False, repr=False)
    stamps: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    gene_num: int | None = field(default=None, compare=False)
    cells: str | None = field(default=None, compare=False)

    @property
    def image_alone(self) -> bool:
        """Whether the slide has no counts: ``gene_num`` is 0 in its row of the meta file."""
        return self.gene_num == 0

    @property
    def about_spots(self) -> int:
        """The approximate number of spots, from the meta file or from the size of the coord file; no file is opened."""
        return max(1, self.spot_num or (self.size or 0) // BYTES_PER_SPOT)

    @property
    def pmids(self) -> tuple[str, ...]:
        """The studies of the slide, sorted."""
        return tuple(sorted({pmid.strip() for pmid in (self.pmid or "").split(",")} - {""}))

    def parts(self, spots_per_part: int) -> int:
        """The number of ranges, each of about ``spots_per_part`` spots, that the slide is cut into."""
        return min(1000, -(-self.about_spots // spots_per_part))


@dataclass(frozen=True)
class Filters:
    """The choice of slides: each filter is a value or a list of values, and None takes all.

    ``pmid`` matches each of a slide's comma-separated pmids. ``slides`` chooses slides by name, ``exclude`` leaves
    slides out. Both ignore case, and may be a file of names: one per line, or a CSV with the column ``slide``, such as
    the marks that the report of `check` saves.
    """

    slides: str | os.PathLike | Iterable[str] | None = None
    species: str | Iterable[str] | None = None
    tissue: str | Iterable[str] | None = None
    pmid: str | int | Iterable[str | int] | None = None
    involve_cancer: bool | Iterable[bool] | None = None
    exclude: str | os.PathLike | Iterable[str] | None = None

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if isinstance(value, Iterator):  # which could be read but once
                object.__setattr__(self, name, tuple(value))


@dataclass(frozen=True)
class Catalog:
    """All slides that have a file in a root, in the order of technology and name.

    ``broken`` is slide → the reason why it can't be read. ``meta`` has the rows of the meta file by folded name, and
    ``meta_file`` is its name. ``elsewhere`` are the slides of technologies that were not asked for.
    """

    root: str
    slides: tuple[Slide, ...]
    broken: Mapping[str, str] = field(default_factory=dict)
    meta: Mapping[str, Mapping[str, str]] | None = None
    meta_file: str | None = None
    access: Access = OPEN
    elsewhere: tuple[Slide, ...] = ()

    def of_techs(self, techs: Iterable[str], asked: str = "") -> "Catalog":
        """Return the part of the catalog with these technologies; ``asked`` names the option for the error."""
        slides = tuple(slide for slide in self.slides if slide.tech in techs)
        if not slides:
            why = f"; {asked} asks for them" if asked else ""
            raise DataError(f"{self.root}: has no {' or '.join(techs)} slides, but {_count_by_tech(self.slides)}{why}")
        others = tuple(slide for slide in self.slides if slide.tech not in techs)
        return replace(self, slides=slides, elsewhere=self.elsewhere + others)

    def with_scales(self, um_per_px: object) -> "Catalog":
        """Return the catalog with the µm per pixel that a user gives, for all slides or by slide; see `given_scales`.

        Raises
        ------
        DataError
            As in `given_scales`, and if a named slide is neither in the root nor in its meta file.
        """
        known = {fold_name(slide.name) for slide in self.slides}
        given = given_scales(um_per_px, known)
        if unknown := [name for name in given if name not in known | (self.meta or {}).keys()]:
            raise DataError(f"um_per_px: {unknown_slide(self, unknown[0])}")
        scales = {slide: given.get(fold_name(slide.name)) for slide in self.slides}
        slides = (replace(one, um_per_px=um, um_per_px_source=OPTION) if um else one for one, um in scales.items())
        return replace(self, slides=tuple(slides))

    def select(
        self, filters: Filters = Filters(), on_mismatch: str = "error", with_broken: bool = False
    ) -> list[Slide]:
        """Return the slides that match, without opening a file; with ``with_broken``, also slides that can't be read.

        Raises
        ------
        DataError
            If a chosen slide lacks a file or its row in the meta file, unless ``on_mismatch`` is "drop", which leaves
            it out and logs that. If a filter has a value that no slide has, or no slide is left.
        """
        if on_mismatch not in ON_MISMATCH:
            raise ValueError(f"on_mismatch={on_mismatch!r}: pass one of {ON_MISMATCH}")
        slides = list(self.slides) if filters.slides is None else named(self, slide_names(filters.slides))
        for key in ("species", "tissue", "pmid", "involve_cancer"):
            if (wanted := getattr(filters, key)) is not None:
                slides = matching(self, slides, key, texts_of(wanted))
        if filters.exclude is not None:
            slides = without(self, slides, filters.exclude)
        if with_broken and slides:
            return slides
        if bad := [slide.name for slide in slides if slide.name in self.broken]:
            message = "; ".join(self.broken[name] for name in bad[:5])
            if on_mismatch != "drop":
                raise DataError(f"{message}; pass on_mismatch='drop' (--on-mismatch drop) to leave such slides out")
            log.warning("left out %d of %d slides: %s", len(bad), len(slides), message)
            if len(bad) == len(slides):
                raise DataError(f"nothing is left: on_mismatch='drop' leaves out all {len(bad)} slides: {message}")
        slides = [slide for slide in slides if slide.name not in self.broken]
        if not slides:
            raise DataError(f"{self.root}: no slide is left of {len(self.slides)}: loosen the filters")
        return slides


def read_catalog(root: str, with_meta: bool = True, access: Access = OPEN) -> Catalog:
    """List the slides of a root and join them with the meta file, without opening a file of a slide.

    Parameters
    ----------
    root
        A folder laid out as the data set, or the fsspec URL of one.
    with_meta
        False ignores the meta file, for a root whose meta file is still to be made.
    access
        Access to the root's server.

    Raises
    ------
    DataError
        If the root has no slide, a name is not allowed or occurs twice, or the meta file is damaged.
    """
    root = pinned(normal_root(root), access)
    waiting = not_in_place(Path(root)) if is_local(root) else set()
    old = replaced(Path(root), waiting) if is_local(root) else set()
    meta_file, url = (find_meta(root, access) if with_meta else None) or (None, None)
    meta = read_meta(url, access) if url else None
    beside = _files_beside(root, access)
    slides, broken = {}, {}
    for tech in TECHS:
        for name, files in sorted(slide_files(root, tech, access, old).items()):
            row = (meta or {}).get(name)
            slide = _slide(tech, files | _beside(name, beside), row, access)
            if name in slides:
                raise DataError(f"{root}: slide {slide.name!r} is in {slides[name].tech} and in {tech}; rename one")
            problem = problem_of(root, slide, row, meta_file)
            if waiting and (problem or half_placed(root, slide, waiting)):
                log.warning("%s: slide %s is left out: its adding was cut off half-way", root, slide.name)
                continue
            slides[name] = slide
            if problem:
                broken[slide.name] = problem
    if not slides:
        if samples := read_samples(root, access):
            return _of_hest(root, samples, beside, access)
        raise DataError(_no_slides(root))
    if meta and (absent := len(meta.keys() - slides.keys())):
        log.info("%s: %d slides of %s are not in this root", root, absent, meta_file)
    return Catalog(root, tuple(slides.values()), broken, meta, meta_file, access)


def _no_slides(root: str) -> str:
    """Return that a root has no slides, and which folder was probably meant."""
    above = f"; name the folder above, {root[: root.rindex('/')]}" if Path(root).name in TECHS else ""
    why = "; there is no such folder" if is_local(root) and not Path(root).exists() else above
    return (
        f"{root}: has no slides; expected {'|'.join(TECHS)} folders with coord/SLIDE_coord.csv, "
        f"gene_exp/SLIDE_count.csv and image/SLIDE.png{why}"
    )


def _of_hest(root: str, samples: Iterable[Sample], beside: Mapping[str, Mapping[str, dict]], access: Access) -> Catalog:
    """Return the catalog of a folder of HEST's, whose metadata stand for a meta file."""
    slides, broken, meta = [], {}, {}
    for one in samples:
        name, row = fold_name(one.row["slide"]), one.row
        slide = _slide(row["tech"], {**one.files, **_beside(name, beside)}, row, access)
        slides.append(replace(slide, study=row.get("study") or None, patient=row.get("patient") or None,
                              grid_um=one.grid_um, image_size=one.image_size))  # fmt: skip
        meta[name] = row
        if one.problem:
            broken[slide.name] = one.problem
    slides.sort(key=lambda slide: TECHS.index(slide.tech))
    return Catalog(root, tuple(slides), broken, meta, METADATA, access)


def _files_beside(root: str, access: Access) -> dict[str, dict[str, dict]]:
    """Return by folder, which is also the part's name, the files that a slide may have or not, by folded names."""
    listed = {part: list_folder(root, part, access) for part in ("annotation", "cells")}
    labels = {name.removesuffix(".gz"): file for name, file in listed["annotation"].items()}
    return {part: {fold_name(name): file for name, file in files.items()}
            for part, files in (("annotation", labels), ("cells", listed["cells"]))}  # fmt: skip


def _beside(name: str, beside: Mapping[str, Mapping[str, dict]]) -> dict[str, dict]:
    """Return the files of a slide that it may have or not, by its folded name."""
    ends = {"annotation": "_anno.csv", "cells": ".parquet"}
    found = {part: beside[part].get(fold_name(name + end)) for part, end in ends.items()}
    return {part: file for part, file in found.items() if file}


def _slide(tech: str, files: dict, row: Mapping[str, str] | None, access: Access) -> Slide:
    row = row or {}
    urls: dict[str, Any] = {part: files[part]["url"] if part in files else "" for part in REQUIRED_FILES}
    stamps = {part: files[part]["stamp"] for part in FILE_KINDS if files.get(part, {}).get("stamp")}
    return Slide(
        name=unicodedata.normalize("NFC", row.get("slide") or files["name"]),
        tech=tech,
        **urls,
        **{part: files[part]["url"] for part in ("annotation", "cells") if part in files},
        species=row.get("species") or None,
        tissue=row.get("tissue") or None,
        pmid=row.get("pmid") or None,
        involve_cancer={"True": True, "False": False}.get(row.get("involve_cancer", "")),
        spot_num=_number(row, "spot_num"),
        gene_num=_number(row, "gene_num"),
        size=files["coord"]["size"] if "coord" in files else None,
        um_per_px=read_um_per_px(row.get("um_per_px", ""), row["slide"]) if row else None,
        um_per_px_source=row.get("um_per_px_source") or None,
        access=access,
        stamps=stamps,
    )


def _number(row: Mapping[str, str], column: str) -> int | None:
    text = row.get(column, "").removesuffix(".0")  # as pandas writes a column that lacks some
    return int(text) if text.isdecimal() else None


def _count_by_tech(slides: Iterable[Slide]) -> str:
    return ", ".join(f"{n} {tech}" for tech, n in Counter(slide.tech for slide in slides).items())
