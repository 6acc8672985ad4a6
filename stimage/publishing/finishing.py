"""Finish a published folder: the tables of slides, genes and splits, and the card that makes it a data set."""

import json
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from stimage.core.errors import DataError, one_line, unreadable
from stimage.core.tables import csv_text
from stimage.examples.published import CLASSES, PATCH
from stimage.genes.measured import MEASURED_FILE, write_measured
from stimage.genes.names import is_ensembl
from stimage.genes.vocabulary import GENES_FILE, load_vocabulary
from stimage.publishing.card import card
from stimage.publishing.facts import SlideFacts
from stimage.publishing.plan import CARD, Plan
from stimage.publishing.shards import Shard, ShardRecord, placing
from stimage.slides.names import fold_name
from stimage.slides.splits.splitting import check_leaks
from stimage.slides.splits.table import SPLITS_FILE

SLIDES = "slides.parquet"
META = ("species", "tissue", "pmid", "title", "abstract", "keywords")  # columns of the meta file
CONTROL = re.compile(r"(BLANK|Blank|NegControl|NegPrb|ERCC-|DEPRECATED|Control)")
TYPES: dict[Any, pa.DataType] = {
    int: pa.int64(),
    float: pa.float64(),
    str: pa.string(),
    float | None: pa.float64(),
    str | None: pa.string(),
}


@dataclass(frozen=True)
class GeneTotals:
    """Per gene of the vocabulary: slides that measured it, their species, spots with a count, and its total count."""

    slides: np.ndarray
    species: list[set[str]]
    spots: np.ndarray
    total: np.ndarray


def write_folder_files(plan: Plan, done: Mapping[str, ShardRecord], repo: str, licence: str | None = None) -> list[str]:
    """Write all files beside the shards; the card comes last, so a folder that has one is complete.

    Returns
    -------
    list of str
        Remarks for a curator: slides left out, and the same image or counts under two names in one split.

    Raises
    ------
    DataError
        If slides of two splits have the same image or counts, or all slides are left out.
    OutputError
        If the folder can't be written.
    """
    left_out = plan.left_out(done)
    if len(left_out) == len(plan.placed):
        raise DataError(f"all slides are left out, such as {next(iter(left_out.values()))}")
    split_of = {name: placed.split for name, placed in plan.placed.items()}
    warnings = [f"slide left out: {reason}" for reason in left_out.values()]
    warnings += check_leaks(_digests(plan, done), split_of)
    with placing(plan.out, SPLITS_FILE) as path:
        path.write_text(_splits_csv(plan), encoding="utf-8")
    for name, table in ((SLIDES, slides_table(plan, done)), (GENES_FILE, genes_table(plan))):
        with placing(plan.out, name) as path:
            pq.write_table(table, path, compression="zstd", write_page_checksum=True)
    with placing(plan.out, MEASURED_FILE) as path:
        counted = (one for one in plan.shards if one.part == 0 and not one.slide.image_alone)
        write_measured(path, ((one.slide.name, _read_totals(one)["gene_id"].to_numpy()) for one in counted))
    with placing(plan.out, CARD) as path:
        path.write_text(card(plan, done, warnings, repo, licence), encoding="utf-8")
    return warnings


def slides_table(plan: Plan, done: Mapping[str, ShardRecord]) -> pa.Table:
    """Return a row per slide: the meta file's, joined with what was measured."""
    names = list(plan.placed)
    meta = [(plan.catalog.meta or {}).get(fold_name(name), {}) for name in names]
    parts = defaultdict(list)
    for shard in plan.shards:
        parts[shard.slide.name].append(done[shard.name])
    columns: dict[str, Any] = {"slide": names, "tech": [plan.placed[name].slide.tech for name in names]}
    columns |= {key: pa.array([row.get(key) or None for row in meta], pa.string()) for key in META}
    columns["involve_cancer"] = pa.array([plan.placed[name].slide.involve_cancer for name in names], pa.bool_())
    columns |= {"split": [plan.placed[n].split for n in names], "group": [plan.placed[n].group for n in names]}
    columns |= {"shards": [sum(d.size > 0 for d in parts[n]) for n in names]}
    columns |= {
        f.name: pa.array([getattr(parts[n][0].facts, f.name, None) for n in names], TYPES[f.type])
        for f in fields(SlideFacts)
    }
    columns["left_out"] = pa.array([parts[name][0].left_out for name in names], pa.string())
    said = {PATCH: json.dumps(asdict(plan.options.patch))}
    said |= {CLASSES: json.dumps(plan.options.cells)} if plan.options.cells else {}
    return pa.table(columns).replace_schema_metadata(said)


def genes_table(plan: Plan) -> pa.Table:
    """Return a row per gene of the vocabulary: id, name, kind, and where it was seen."""
    vocabulary = load_vocabulary(plan.shards[0].vocabulary)
    names, totals = vocabulary.names, _totals(plan, len(vocabulary.names))
    table = pa.table(
        {
            "id": pa.array(range(len(names)), pa.int32()),
            "name": pa.array(names, pa.string()),
            "kind": [_kind(name) for name in names],
            "species": pa.array([sorted(species) for species in totals.species], pa.list_(pa.string())),
            "slides": totals.slides,
            "spots": totals.spots,
            "total_count": totals.total,
        }
    )
    return table.replace_schema_metadata(vocabulary.metadata)


def _totals(plan: Plan, genes: int) -> GeneTotals:
    count = partial(np.zeros, genes, np.int64)
    totals = GeneTotals(count(), [set() for _ in range(genes)], count(), np.zeros(genes))
    for shard in plan.shards:
        table = _read_totals(shard)
        ids = table["gene_id"].to_numpy()
        totals.spots[ids] += table["spots"].to_numpy()
        totals.total[ids] += table["total"].to_numpy()
        if shard.part == 0:
            totals.slides[ids] += 1
            if shard.slide.species:
                for gene in ids.tolist():
                    totals.species[gene].add(shard.slide.species)
    return totals


def _read_totals(shard: Shard) -> pa.Table:
    try:
        return pq.read_table(shard.totals, page_checksum_verification=True).select(["gene_id", "spots", "total"])
    except (OSError, KeyError, pa.ArrowException) as error:
        why = f"is damaged ({one_line(error)}); remove it and run the same command again"
        raise unreadable(shard.totals, error, why) from None


def _kind(name: str) -> str:
    return "ensembl" if is_ensembl(name) else "control" if CONTROL.match(name) else "symbol"


def _digests(plan: Plan, done: Mapping[str, ShardRecord]) -> dict[str, dict[str, str]]:
    """Return, by what is compared, each slide's digest; those of a slide's parts are joined."""
    digests = {"image file": {}, "images": {}, "counts": {}}
    for shard in plan.shards:
        record, name = done[shard.name], shard.slide.name
        if record.spots:
            digests["image file"].setdefault(name, record.image_file)
            for what in ("images",) if shard.slide.image_alone else ("images", "counts"):
                digests[what][name] = digests[what].get(name, "") + getattr(record, what)
    return digests


def _splits_csv(plan: Plan) -> str:
    columns = ("slide", "tech", "species", "tissue", "group", "split")
    slides = [(name, one, one.slide) for name, one in plan.placed.items()]
    rows = ((name, slide.tech, slide.species, slide.tissue, one.group, one.split) for name, one, slide in slides)
    return csv_text([columns, *rows])
