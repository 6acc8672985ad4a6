"""A panel's expression, made of the gene ids and counts of published spots as of a root's."""

import glob
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from stimage.core.errors import DataError, shown
from stimage.examples.arrow import dense_column, null_columns
from stimage.examples.datasets_cache import for_streaming
from stimage.genes.normalise import OF_MEDIAN, Normalisation, median_of
from stimage.genes.panels import Panel
from stimage.genes.vocabulary import load_vocabulary
from stimage.slides.counts.rows import CountRows

SPOTS = 512  # that are read at a time to know a slide's median


@dataclass(frozen=True, eq=False)
class PanelColumn:
    """A function of tables of published spots, for `datasets.Dataset.map`: it gives them ``expression``.

    Attributes
    ----------
    genes
        The folder's ``genes.parquet``.
    panel, normalise
        As the builder's options.
    files
        Slide → its shards.
    species
        Slide → its species, for a panel's table of genes.
    slides
        How many slides of the folder have counts.
    columns
        The columns to give, in order.
    how
        How `datasets` reads Parquet here.
    """

    genes: str
    panel: Panel
    normalise: str
    files: Mapping[str, list[str]]
    species: Mapping[str, str | None]
    slides: int
    columns: tuple[str, ...]
    how: Mapping[str, Any]
    _known: dict[str, tuple[np.ndarray, Normalisation]] = field(default_factory=dict, repr=False)

    @property
    def needed(self) -> list[str]:
        """The columns that are read."""
        return list(dict.fromkeys([*(name for name in self.columns if name != "expression"), "slide", "gene_ids",
                                   "counts"]))  # fmt: skip

    def __call__(self, table: pa.Table) -> pa.Table:
        """Return a table's spots with the columns that are wanted."""
        names = np.array(table["slide"].to_pylist(), object)
        ends = [*(np.flatnonzero(names[1:] != names[:-1]) + 1).tolist(), len(names)]
        parts = [self._of(names[a], table.slice(a, b - a)) for a, b in zip([0, *ends], ends) if b > a]
        return table.append_column("expression", pa.chunked_array(parts)).select(list(self.columns))

    def _of(self, slide: str, table: pa.Table) -> pa.Array:
        """Return the expression of spots of one slide; of an image alone, null."""
        if table["counts"].null_count == len(table):
            return null_columns(self.panel, len(table))["expression"]
        if slide not in self._known:
            self._known[slide] = self._fitted(slide)
        places, normal = self._known[slide]
        return dense_column(_rows(table), places, len(self.panel.genes), normal)["expression"]

    def _fitted(self, slide: str) -> tuple[np.ndarray, Normalisation]:
        """Return the place in the panel of each gene of the vocabulary, and the slide's normalisation."""
        names = load_vocabulary(self.genes).names
        where = f"{self.files[slide][0]}"
        places = self.panel.places_in(names, self.genes, self.species[slide])
        everywhere = pq.read_table(self.genes, columns=["slides"])["slides"].to_numpy() == self.slides
        had = np.zeros(len(self.panel.genes), bool)
        had[places[everywhere & (places >= 0)]] = True
        inside = np.flatnonzero(places >= 0) if self.normalise == "original" else None
        totals = []
        if self.normalise in OF_MEDIAN or not had.all():
            for rows in self._blocks(slide):
                values = rows.values if inside is None else rows.values * np.isin(rows.columns, inside)
                totals.append(rows.totals(values))
                had[places[rows.columns[places[rows.columns] >= 0]]] = True
        if not had.all():
            lost = [gene for gene, there in zip(self.panel.genes, had) if not there]
            raise DataError(
                f"{where}: no spot has a count of {len(lost)} of the panel's {len(had)} genes, which some slides of "
                f"the folder lack: {shown(lost, 10)}; leave these genes out of the panel, or leave the slide out by "
                "exclude="
            )
        return places, Normalisation(self.normalise, where, median_of(np.concatenate(totals)) if totals else 1.0)

    def _blocks(self, slide: str) -> Iterator[CountRows]:
        files = list(map(glob.escape, self.files[slide]))
        columns, cache = ["gene_ids", "counts"], for_streaming()
        spots = datasets.load_dataset("parquet", split="train", streaming=True, data_files=files, columns=columns,
                                      cache_dir=cache, **self.how)  # fmt: skip
        for table in spots.select_columns(columns).with_format("arrow").iter(SPOTS):
            yield _rows(table)


def _rows(table: pa.Table) -> CountRows:
    """Return the counts of published spots, each gene numbered as in the vocabulary."""
    ids, counts = (table[name].combine_chunks() for name in ("gene_ids", "counts"))
    if isinstance(ids, pa.ChunkedArray):  # of datasets that combine to none or several
        ids, counts = pa.concat_arrays(ids.chunks), pa.concat_arrays(counts.chunks)
    starts = ids.offsets.to_numpy().astype(np.int64)
    return CountRows(starts - starts[0], ids.flatten().to_numpy(), counts.flatten().to_numpy().astype(np.float64))
