"""Make the meta file: one row per slide, from GEO, publications, a curator's tables, and the slide's files."""

import csv
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from stimage.collection.meta.geo import Geo, Sample, Series
from stimage.collection.meta.name_maps import ALWAYS, SPECIES, STUDIES, TISSUES, Maps, StudyTissue
from stimage.collection.meta.publications import TEXTS, Publication, involves_cancer, joined
from stimage.collection.meta.slide_table import SlideEntry
from stimage.core.access import OPEN
from stimage.core.errors import DataError
from stimage.core.files import write_text
from stimage.core.storage import local_copy, normal_root
from stimage.core.tables import csv_text, read_table
from stimage.slides.catalog import Slide, read_catalog
from stimage.slides.coordinates import read_coordinates
from stimage.slides.counts.count_file import index_rows, read_genes
from stimage.slides.meta_file import META_COLUMNS, RAW_COLUMN, SCALE_COLUMNS, MetaRow, find_meta
from stimage.slides.names import fold_name


@dataclass(frozen=True)
class Unknown:
    """A cell that is left empty: of which slide and column, and the reason with the remedy."""

    slide: str
    column: str
    reason: str


@dataclass(frozen=True)
class Meta:
    """The rows of a meta file, the unknown cells, and slides of the slide table without files in the root."""

    rows: tuple[MetaRow, ...]
    unknown: tuple[Unknown, ...]
    absent: tuple[SlideEntry, ...] = ()


@dataclass(frozen=True)
class Sources:
    """The sources of rows beside the slides' files."""

    maps: Maps
    geo: Geo = field(default_factory=Geo)
    publications: Mapping[str, Publication] = field(default_factory=dict)
    entries: Mapping[str, SlideEntry] = field(default_factory=dict)


def make_meta(root: str | None, sources: Sources, progress: Callable[[Iterable], Iterable] = iter) -> Meta:
    """Make a row for each slide that has files in a root, in the order of technology and name.

    Spots and genes are counted in the count files; for an image alone, spots are counted in the coord file. Values that
    the sources do not give are left empty and listed, and never guessed.

    Parameters
    ----------
    root
        A folder laid out as the data set, or its URL. From its meta file, scales are kept, and which slides are images
        alone. None makes rows for the slides of the slide table, in its order, without numbers of spots and genes.
    sources
        The sources of facts about slides, studies and publications.
    progress
        Wraps the slides while they are worked on, as tqdm does.

    Raises
    ------
    DataError
        If the root has no slide or is a folder of HEST's, a count file is broken, or the technology of a slide differs
        from its folder.
    """
    if root is None:
        return _collect([_Row(entry, sources).make() for entry in sources.entries.values()])
    catalog = read_catalog(root, with_meta=False)
    if catalog.meta_file:
        raise DataError(f"{root}: is a folder of HEST's, whose {catalog.meta_file}/ID.json stand for a meta file; "
                        "correct what is wrong in these")  # fmt: skip
    here = {fold_name(slide.name) for slide in catalog.slides}
    absent = tuple(entry for name, entry in sources.entries.items() if name not in here)
    rows, kept = [], _kept(root)
    for slide in progress(catalog.slides):
        entry = sources.entries.get(fold_name(slide.name), SlideEntry.of_name(slide.name))
        if entry.tech not in ("", slide.tech):
            raise DataError(
                f"{entry.source}: tech is {entry.tech}, but its files are in {root}/{slide.tech}; correct it"
            )
        row, unknown = _Row(replace(entry, tech=slide.tech), sources).make()
        row = replace(row, **kept.get(fold_name(slide.name), {}))
        rows.append(_count(slide, row, unknown))
    return replace(_collect(rows), absent=absent)


def write_meta(rows: Iterable[MetaRow], path: str | Path, tissue_raw: bool = False) -> None:
    """Write a meta file in the data set's form, every cell quoted, whole or not at all.

    The data set's meta file has no scales; their columns are written if a slide has one. With ``tissue_raw``, a last
    column has the tissue in the words of the sources.
    """
    rows = list(rows)
    columns = META_COLUMNS if any(row.um_per_px for row in rows) else META_COLUMNS[: -len(SCALE_COLUMNS)]
    columns += (RAW_COLUMN,) if tissue_raw else ()
    cells = ([getattr(row, column) for column in columns] for row in rows)
    write_text(Path(path), csv_text([columns, *cells], csv.QUOTE_ALL))


def _kept(root: str) -> dict[str, dict[str, str]]:
    """Return what a root's meta file alone can say, by folded name: scales, and which slides are images alone."""
    root = normal_root(root)
    if not (found := find_meta(root)):
        return {}
    columns, rows = read_table(found[1], access=OPEN)
    if "slide" not in columns:
        return {}
    kept = {fold_name(row["slide"]): {column: row.get(column, "") for column in SCALE_COLUMNS} for row in rows}
    for row in rows:
        if row.get("gene_num") in ("0", "0.0"):
            kept[fold_name(row["slide"])]["gene_num"] = "0"
    return kept


def _collect(made: Iterable[tuple[MetaRow, list[Unknown]]]) -> Meta:
    rows, unknown = zip(*made) if made else ((), ())
    return Meta(rows, tuple(one for some in unknown for one in some))


def _count(slide: Slide, row: MetaRow, unknown: list[Unknown]) -> tuple[MetaRow, list[Unknown]]:
    if not slide.counts and row.gene_num == "0":  # an image alone
        return replace(row, spot_num=str(len(read_coordinates(local_copy(slide.coord, slide.access))))), unknown
    if not slide.counts:
        reason = f"gene_exp/{slide.name}_count.csv is missing, so spots and genes can't be counted"
        return row, [*unknown, Unknown(slide.name, "spot_num, gene_num", reason)]
    path = local_copy(slide.counts, slide.access)
    spots = len(index_rows(path).ids)
    if not spots:
        raise DataError(f"{slide.counts}: has no spot; remove the slide's files, or get the file again")
    return replace(row, spot_num=str(spots), gene_num=str(len(read_genes(path)))), unknown


class _Row:
    """A row in the making: each method returns a cell, or "" with a note of the reason."""

    def __init__(self, entry: SlideEntry, sources: Sources):
        self.entry, self.sources, self.maps = entry, sources, sources.maps
        self.unknown: list[Unknown] = []
        self.sample: Sample | None = sources.geo.samples.get(entry.gsm)
        series = self.sample.series if self.sample else ()
        self.gse = entry.gse or (series[0] if len(series) == 1 else "")
        self.series: Series | None = sources.geo.series.get(self.gse)

    def make(self) -> tuple[MetaRow, list[Unknown]]:
        entry = self.entry
        if not entry.tech:
            self._note("tech", f"{entry.source} has no tech; write ST, Visium or VisiumHD")
        pmids = self.pmids()
        title, abstract, keywords = (self.text(column, pmids) for column in TEXTS)
        told = not any(one.column in TEXTS for one in self.unknown)  # else the text would be judged by a part of it
        cancer = str(involves_cancer(title, abstract, keywords)) if told else ""
        row = MetaRow(entry.slide, self.species(), self.tissue(), ",".join(pmids), title, abstract, keywords, cancer,
                      entry.tech, tissue_raw="; ".join(self.tissues_told()) or entry.tissue)  # fmt: skip
        return row, self.unknown

    def species(self) -> str:
        if self.entry.species:
            written, source = (self.entry.species,), self.entry.source
        elif self.sample and self.sample.organisms:
            written, source = self.sample.organisms, self.sample.source
        else:
            return self._note("species", f"{self._nothing('organism')}; {self._say('species')}")
        try:
            return self.maps.species_of(written)
        except KeyError as error:
            return self._note("species", f"{error.args[0]!r} is not in {self.maps.folder / SPECIES}; add it", source)

    def tissue(self) -> str:
        entry, sample, own, told = self.entry, self.sample, self.own_tissue, self.tissues_told()
        if entry.tissue:
            return self._mapped(entry.tissue, entry.source)
        if own.tissue and (own.rule == ALWAYS or not told):
            return own.tissue
        if not sample or not told:
            advice = f"add {self.gse} to {self.maps.folder / STUDIES}" if self.gse else self._say("tissue")
            return self._note("tissue", f"{self._nothing('tissue: or organ: field')}; {advice}")
        if len(told) > 1:
            names = ", ".join(map(repr, told))
            advice = f"add {sample.gsm} to {self.maps.folder / STUDIES}"
            return self._note("tissue", f"{sample.gsm} has several tissues, {names}; {advice}", sample.source)
        return self._mapped(told[0], sample.source)

    @property
    def own_tissue(self) -> StudyTissue:
        """The rule for the sample's tissue, or its study's."""
        return self.maps.studies.get(self.entry.gsm) or self.maps.studies.get(self.gse) or StudyTissue()

    def tissues_told(self) -> tuple[str, ...]:
        """Return what the sample says of its tissue, in GEO's words."""
        return self.sample.told(self.own_tissue.rule) if self.sample else ()

    def pmids(self) -> list[str]:
        found = self.entry.pmids or (self.series.pmids if self.series else ())
        if not found and not self.entry.title and self.series is None and (self.gse or self.sample):
            several = self.sample.series if self.sample else ()
            series = self.gse or f"one of {', '.join(several) or 'an unnamed series'}"
            self._note(
                "pmid", f"series {series} is in no --geo file; add the file, or {self._say('gse, pmid or title')}"
            )
        return sorted(set(found), key=int)

    def text(self, column: str, pmids: list[str]) -> str:
        """Return the title, abstract or keywords: the curator's, the publications', or the series' title."""
        if said := getattr(self.entry, column):
            return said
        if missing := [pmid for pmid in pmids if pmid not in self.sources.publications]:
            return self._note(column, f"pmid {', '.join(missing)} is in no --bib or --publications file; add it")
        if pmids:
            return joined([getattr(self.sources.publications[pmid], column) for pmid in pmids], column)
        return self.series.title if self.series and column == "title" and not self.entry.abstract else ""

    def _mapped(self, written: str, source: str) -> str:
        try:
            return self.maps.tissue_of(written)
        except KeyError:
            return self._note("tissue", f"{written!r} is not in {self.maps.folder / TISSUES}; add it", source)

    def _nothing(self, what: str) -> str:
        if self.sample:
            return f"{self.sample.gsm} has no {what}"
        return f"{self.entry.gsm} is in no --geo file" if self.entry.gsm else "no GEO sample is named"

    def _say(self, column: str) -> str:
        return f"give {column} in the --slides table"

    def _note(self, column: str, reason: str, source: str = "") -> str:
        self.unknown.append(Unknown(self.entry.slide, column, f"{reason} ({source})" if source else reason))
        return ""
