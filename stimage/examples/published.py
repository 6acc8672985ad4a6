"""Spots of a published folder: the chosen slides, and only their columns."""

import glob
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
from datasets.packaged_modules.parquet.parquet import ParquetConfig
from pyarrow.dataset import ParquetFragmentScanOptions

from stimage.core.access import OPEN, Access
from stimage.core.errors import DataError, one_line, unreadable
from stimage.core.files import room_for
from stimage.core.storage import list_folder, local_copy, located
from stimage.examples.datasets_cache import for_preparing, for_streaming
from stimage.examples.options import SpotsConfig
from stimage.examples.panel_column import PanelColumn
from stimage.examples.registering import raise_cause
from stimage.genes.carried import carried_by, vocabulary_in
from stimage.genes.panels import Panel
from stimage.slides.catalog import PUBLISHED, TECHS, Catalog, Filters, Slide
from stimage.slides.images.patches import Patch
from stimage.slides.names import check_name, fold_name
from stimage.slides.splits.table import SPLITS

SHARD = re.compile(r"(.+)-\d{5}-of-\d{5}\.parquet")
# pages have checksums, which versions of datasets before 4.2 cannot be told to look at
VERIFIED = {"fragment_scan_options": ParquetFragmentScanOptions(page_checksum_verification=True)}
VERIFIED = VERIFIED if hasattr(ParquetConfig, "fragment_scan_options") else {}
CLASSES = b"cells"  # in the metadata of the table of slides: of which classes cells were counted
PATCH = b"patch"  # in the metadata of the table of slides: how their patches were cut
FILTERS = {field.name for field in fields(Filters)}
# all other options are of cutting and dealing
TAKEN = FILTERS | {"panel", "gene_table", "normalise", "columns", "cells"}
ROWS = 256  # spots of which a panel's expression is made at a time


@dataclass(frozen=True)
class Published:
    """A published folder, as `load` reads it: path or URL, and what its server asks for."""

    location: str
    access: Access = OPEN

    def load(self, name: str, options: Mapping[str, Any], split: str | None, how: Mapping[str, Any]) -> Any:
        """Return spots as `load` does; ``how`` is for `datasets.load_dataset`.

        Raises
        ------
        DataError
            If no slide is left, no spot is in the split, or the vocabulary lacks a gene of the panel.
        ValueError
            For an option of cutting patches or of splits, which was settled when the folder was made.
        """
        if unknown := sorted(options.keys() - TAKEN):
            raise ValueError(
                f"{unknown[0]}=: {self.location} is a published folder, so its patches are cut and its slides are "
                "split already; leave this option out, or load the root that the folder was made from"
            )
        config = SpotsConfig(name=name, root=self.location, **options)
        config.check()
        catalog = published_catalog(self.location, self.access)
        filters = Filters(**{one: getattr(config, one) for one in FILTERS})
        slides = catalog.of_techs(config.techs, f"the configuration {name!r}").select(filters)
        files = shards_of(self.location, self.access)
        features = config.features_with(self._classes() if config.cells else ())
        wanted = list(features)
        column = self._panel_column(config, catalog, files, tuple(wanted)) if "expression" in wanted else None
        needed = column.needed if column else wanted
        cache = (for_streaming if how["streaming"] else for_preparing)(how.get("cache_dir"))
        how = {**how, "cache_dir": cache, "columns": needed, **VERIFIED, **self._server()}
        data_files = self._by_split(slides, files, split)
        with self.access.asking(self.location, "loaded"), room_for(cache), raise_cause():
            spots = datasets.load_dataset("parquet", data_files=data_files, split=split, **how)
        each = spots if split is None else {split: spots}
        if column:
            with room_for(cache):
                made = {part: one.with_format("arrow").map(column, batched=True, batch_size=ROWS, features=features)
                        .with_format(None) for part, one in each.items()}  # fmt: skip
        else:
            made = {part: one.select_columns(wanted) for part, one in each.items()}
        if "gene_ids" in wanted:
            carried = str(carried_by(vocabulary_in(self.location, self.access), self.location))
            for one in made.values():
                one.info.description = carried
        return made[split] if split is not None else type(spots)(made)

    def _server(self) -> dict[str, Any]:
        return {"storage_options": dict(self.access.storage_options) or None, "token": self.access.token}

    def _classes(self) -> tuple[str, ...]:
        said = _slides_table(self.location, self.access, []).schema.metadata or {}
        if CLASSES not in said:
            raise DataError(f"{self.location}: has no cells; publish with cells=True (--cells) into another folder, or "
                            "leave out cells=")  # fmt: skip
        return tuple(json.loads(said[CLASSES]))

    def _panel_column(
        self, config: SpotsConfig, catalog: Catalog, files: Mapping[str, list], columns: tuple[str, ...]
    ) -> PanelColumn:
        vocabulary, panel = vocabulary_in(self.location, self.access), Panel.read(config.panel, config.gene_table)
        for species in {slide.species for slide in catalog.slides if not slide.image_alone}:
            panel.places_in(vocabulary.names, vocabulary.path, species)  # what no slide has is told at once
        urls = {slide: [url for _, url in some] for slide, some in files.items()}
        species_of = {slide.name: slide.species for slide in catalog.slides}
        counted = sum(not slide.image_alone for slide in catalog.slides)
        how = {**VERIFIED, **self._server()}
        return PanelColumn(vocabulary.path, panel, config.normalise, urls, species_of, counted,
                           columns, how)  # fmt: skip

    def _by_split(self, slides: list[Slide], files: Mapping[str, list], split: str | None) -> dict[str, list[str]]:
        """Return split → files of these slides."""
        found: dict[str, list[str]] = {}
        for slide in slides:
            if slide.name not in files:
                raise DataError(f"{self.location}: has no shard of slide {slide.name!r}; build the shards again")
            for part, url in files[slide.name]:
                found.setdefault(part, []).append(glob.escape(url))  # datasets takes names for patterns
        if split is not None and split not in found:
            raise DataError(
                f"{self.location}: the slides that you ask for are not in the split {split!r}, but in "
                f"{', '.join(found)}; pass one of these as split=, or None for all"
            )
        return {part: found[part] for part in SPLITS if part in found and split in (None, part)}


def published_at(root: str | os.PathLike, access: Access = OPEN) -> Published | None:
    """Return the published folder at a path, a URL or ``user/repo`` on the Hub; None if it is a root."""
    location = located(root, access)
    return Published(location, access) if PUBLISHED in list_folder(location, "", access) else None


def shards_of(location: str, access: Access) -> dict[str, list[tuple[str, str]]]:
    """Return slide name → split and path or URL of each of its shards, in order."""
    found: dict[str, list[tuple[str, str]]] = {}
    for tech in TECHS:
        for split in SPLITS:
            for name, file in sorted(list_folder(location, f"data/{tech}/{split}", access).items()):
                if match := SHARD.fullmatch(name):
                    found.setdefault(match[1], []).append((split, file["url"]))
    return found


def published_catalog(location: str, access: Access) -> Catalog:
    """Return the slides of a published folder, without slides that were left out.

    Raises
    ------
    DataError
        If its table of slides is damaged or missing.
    """
    path = f"{location}/{PUBLISHED}"
    of = {name: name for name in ("species", "tissue", "pmid", "involve_cancer")}
    of |= {"spot_num": "spots", "gene_num": "genes"}
    rows = _slides_table(location, access, ["slide", "tech", *of.values(), "left_out"]).to_pylist()
    for row in rows:
        check_name(row["slide"] or "", path)
        if row["tech"] not in TECHS:
            raise DataError(f"{path}: slide {row['slide']!r} has the technology {row['tech']!r}; one of {TECHS}")
    rows = sorted(rows, key=lambda row: (TECHS.index(row["tech"]), fold_name(row["slide"])))
    slides = tuple(
        Slide(row["slide"], row["tech"], "", "", "", access=access, **{key: row[name] for key, name in of.items()})
        for row in rows
        if not row["left_out"]
    )
    return Catalog(location, slides, meta={}, access=access)


def published_patch(location: str, access: Access = OPEN) -> Patch | None:
    """Return the patch of a published folder; None if the folder is older than the note about it."""
    said = _slides_table(location, access, []).schema.metadata or {}
    try:
        return Patch(**json.loads(said[PATCH])) if PATCH in said else None
    except (ValueError, TypeError) as error:
        raise DataError(f"{location}/{PUBLISHED}: says wrongly how its patches were cut ({one_line(error)}); publish "
                        "again into another folder") from None  # fmt: skip


def published_sides(location: str, access: Access = OPEN) -> dict[str, float | None]:
    """Return slide name → the side of the square of 2r in µm, or None where the scale is unknown."""
    rows = _slides_table(location, access, ["slide", "radius", "um_per_px"]).to_pylist()
    return {row["slide"]: 2 * row["radius"] * row["um_per_px"] if row["radius"] and row["um_per_px"] else None
            for row in rows}  # fmt: skip


def _slides_table(location: str, access: Access, columns: list[str]) -> pa.Table:
    path = local_copy(f"{location}/{PUBLISHED}", access)
    try:
        return pq.read_table(path, columns=columns)
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise unreadable(path, error, f"is no table of slides as build_shards writes it ({one_line(error)})") from None
