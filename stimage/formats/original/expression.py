"""Tables of expression, spots by genes, as the data set's authors make them for fine-tuning; with the genes' names."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv

from stimage.core.errors import DataError
from stimage.core.files import replacing
from stimage.genes.choosing import DEFAULT_N, ShowProgress, overlap_choice, pearson_genes
from stimage.genes.dispersion import common_genes, genes_of
from stimage.genes.names import Naming, places_among
from stimage.genes.normalise import median_of
from stimage.slides.catalog import Slide
from stimage.slides.counts.rows import CountRows
from stimage.slides.spots import Spots, open_spots

FORMS = ("csv", "parquet")
SPOT = "SPOT"  # name of the column of ids
OVERLAP, STACKED = "count_overlap_hvg", "count_hvg"  # files of all slides together
Write = Callable[[pa.RecordBatch], None]


@dataclass(frozen=True)
class TableOptions:
    """The number of genes, the form of files, and how slides are read; see `stimage.export_expression`."""

    n: int | None = None
    form: str = "csv"
    on_mismatch: str = "error"
    allow_normalised: bool = False
    naming: Naming | None = None


def write_hvg(slide: Slide, out: Path, options: TableOptions) -> Path:
    """Write a slide's most variable genes as ``out``/SLIDE_count_hvg, the most variable gene first.

    A spot's counts of these genes are divided by their total, times the median of such totals, then log1p. Spots
    without any count are left out. Spots without a count of these genes are 0.
    """
    genes = pearson_genes(slide, options.n or DEFAULT_N["hvg"], options.allow_normalised, options.naming)
    spots = open_spots(slide, options.on_mismatch, with_image=False)
    places = _places(genes, slide, options.naming)
    median = median_of(np.concatenate([counts.sum(1) for _, counts, _ in _blocks(spots, places, len(genes))]))
    path = out / f"{slide.name}_count_hvg.{options.form}"
    with _table(path, genes, options.form) as write:
        for some, counts, totals in _blocks(spots, places, len(genes)):
            write(_batch(spots, some, _normalised(counts, counts.sum(1), median), totals > 0, genes))
    return path


def stack_hvg(tables: Sequence[Path], out: Path, form: str) -> Path:
    """Write the tables of `write_hvg` one below another as ``out``/count_hvg; its columns are ranks from 0 on.

    Raises
    ------
    DataError
        If slides have different numbers of genes.
    """
    path, ranks = out / f"{STACKED}.{form}", None
    with ExitStack() as stack:
        for table in map(_read, tables):
            if ranks is None:
                ranks = [str(rank) for rank in range(table.num_columns - 1)]
                write = stack.enter_context(_table(path, ranks, form))
            if (n := table.num_columns - 1) != len(ranks):
                least = min(n, len(ranks))
                raise DataError(
                    f"{tables[0]}: has {len(ranks)} genes, but another slide {n}; pass n={least} (--n {least})"
                )
            for batch in table.rename_columns([SPOT, *ranks]).to_batches():
                write(batch.cast(_schema(ranks)))
    return path


def _read(path: Path) -> pa.Table:
    if path.suffix == ".parquet":
        return pq.read_table(path)
    return csv.read_csv(path, convert_options=csv.ConvertOptions(column_types={SPOT: pa.string()}))


def write_overlap_hvg(slides: Sequence[Slide], out: Path, options: TableOptions, progress: ShowProgress = iter) -> Path:
    """Write the most variable of the genes that all slides have, for all their spots, as ``out``/count_overlap_hvg.

    A spot's counts are divided by its total of the common genes, times the median of all such totals, then log1p. Spots
    without a count of a common gene are left out. Genes are in the order of the first slide, spots in the order of the
    slides and their count files.
    """
    common = common_genes(slides, options.naming)
    n = options.n or DEFAULT_N["overlap-hvg"]
    genes, median = overlap_choice(slides, common, n, options.allow_normalised, progress, options.naming)
    path = out / f"{OVERLAP}.{options.form}"
    with _table(path, genes, options.form) as write:
        for slide in progress(slides):
            spots = open_spots(slide, options.on_mismatch, with_image=False)
            places = _places(genes, slide, options.naming)
            inside = _places(common, slide, options.naming) >= 0
            for some, counts, totals in _blocks(spots, places, len(genes), inside):
                write(_batch(spots, some, _normalised(counts, totals, median), totals > 0, genes))
    return path


def _places(genes: Sequence[str], slide: Slide, naming: Naming | None) -> np.ndarray:
    """Return, for each gene of a slide's file, its place among these, or -1."""
    return places_among(genes, *genes_of(slide, naming))


def _blocks(
    spots: Spots, places: np.ndarray, n: int, inside: np.ndarray | None = None
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield blocks in the order of the count file: which spots, their counts of n genes, and totals of those inside."""
    for some, rows in spots.blocks():
        yield some, rows.sparse(places, n).toarray(), _totals(rows, inside)


def _totals(rows: CountRows, inside: np.ndarray | None) -> np.ndarray:
    return rows.totals() if inside is None else rows.totals(rows.values * inside[rows.columns])


def _normalised(counts: np.ndarray, totals: np.ndarray, median: float) -> np.ndarray:
    """Return log1p of counts per total, times the median total; 0 where the total is 0."""
    scale = np.divide(median, totals, out=np.zeros(len(totals)), where=totals > 0)
    return np.log1p(counts * scale[:, None]).astype(np.float32)


def _batch(
    spots: Spots, some: np.ndarray, values: np.ndarray, kept: np.ndarray, genes: Sequence[str]
) -> pa.RecordBatch:
    ids = spots.ids.take(pa.array(some[kept])).combine_chunks()
    columns = [pa.array(column) for column in np.ascontiguousarray(values[kept].T)]
    return pa.RecordBatch.from_arrays([ids, *columns], schema=_schema(genes))


def _schema(genes: Sequence[str]) -> pa.Schema:
    return pa.schema([(SPOT, pa.string()), *((gene, pa.float32()) for gene in genes)])


@contextmanager
def _table(path: Path, genes: Sequence[str], form: str) -> Iterator[Write]:
    """Give what appends rows to a file, which appears whole or not at all."""
    with replacing(path) as unfinished:
        opened = csv.CSVWriter if form == "csv" else pq.ParquetWriter
        with opened(unfinished, _schema(genes)) as writer:
            yield writer.write_batch
