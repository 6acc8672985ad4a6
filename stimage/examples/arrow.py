"""Batches of spots as Arrow tables: the examples that all later steps read."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa

from stimage.cells.columns import CELLS, DENSITY, cell_columns
from stimage.core.errors import DataError
from stimage.genes.headers import forget_header
from stimage.genes.normalise import OF_MEDIAN, Normalisation, fit_normalisation, median_of
from stimage.genes.panels import Panel
from stimage.genes.vocabulary import Vocabulary
from stimage.slides.counts.rows import CountRows
from stimage.slides.images.patches import Patch
from stimage.slides.spots import SpotBlock, Spots, read_batches

COUNTED = frozenset(("gene_ids", "counts", "expression"))
PREPARED_ROWS, PREPARED_BYTES = 1000, 32 << 20  # of a table in a prepared data set: larger ones open faster
KEPT_BYTES = 64 << 20  # of a panel's counts that are kept from the pass that finds a slide's median total


def spot_tables(
    spots: Spots,
    patch: Patch,
    genes: Vocabulary | Panel | None,
    encode: Callable[[np.ndarray], bytes],
    begin: int = 0,
    end: int | None = None,
    normalise: str = "counts",
    columns: Collection[str] | None = None,
    classes: Sequence[str] = (),
) -> Iterator[pa.Table]:
    """Yield spots ``begin`` to ``end`` of a slide as Arrow tables of at most 64 rows, with the builder's columns.

    Parameters
    ----------
    genes
        A vocabulary, for sparse ``gene_ids`` and ``counts``; a panel, for a dense ``expression``; or None if neither is
        among the columns.
    encode
        Function that makes an image file from a patch; see `stimage.examples.image_formats.encoder`.
    normalise
        The way from a panel's counts to ``expression``; see `stimage.genes.normalise.Normalisation`.
    columns
        The columns to make; files that only other columns need are not read. None makes all.
    classes
        Classes of cells to count. Without classes, there are no such columns.
    """
    end = len(spots) if end is None else end
    patched = patch if columns is None or "image" in columns else None
    counted = (columns is None or needs_counts(columns)) and not spots.slide.image_alone
    expression = _expression(spots, genes, normalise, end - begin == len(spots)) if counted else None
    read = expression is not None and not isinstance(expression, _KeptCounts)
    wanted = classes and (columns is None or not {CELLS, DENSITY}.isdisjoint(columns))
    cells = cell_columns(spots, classes, begin, end) if wanted else {}
    for batch in read_batches(spots, patched, begin, end, read):
        table = _spot_columns(spots, batch, columns)
        if batch.patches is not None:
            table |= _image_column(batch, encode)
        if expression:
            table |= expression(batch)
        elif spots.slide.image_alone:
            table |= null_columns(genes, batch.end - batch.begin)
        table |= {name: values[batch.begin - begin : batch.end - begin] for name, values in cells.items()}
        yield pa.table({name: table[name] for name in columns or table})


def needs_counts(columns: Iterable[str]) -> bool:
    """Tell whether some of these columns are made of a slide's counts."""
    return not COUNTED.isdisjoint(columns)


@dataclass(frozen=True, eq=False)
class _KeptCounts:
    """Makes ``expression`` of counts that are kept: of a panel's genes (n x genes), and in all (n)."""

    counts: np.ndarray
    totals: np.ndarray
    normal: Normalisation

    def __call__(self, batch: SpotBlock) -> dict[str, pa.Array]:
        some = slice(batch.begin, batch.end)
        return _vectors(self.normal.dense(self.counts[some], self.totals[some]))


def _expression(
    spots: Spots, genes: Vocabulary | Panel | None, normalise: str, whole: bool
) -> Callable[[SpotBlock], dict[str, pa.Array]]:
    """Return the function from blocks of spots to columns of examples; ``whole`` if it is asked for all spots."""
    if isinstance(genes, Panel):
        places, width = genes.places_in(spots.genes, spots.counts_path, spots.slide.species), len(genes.genes)
        if whole and normalise in OF_MEDIAN and len(spots) * width * np.dtype(float).itemsize <= KEPT_BYTES:
            return _keep_counts(spots, places, width, normalise)
        column = partial(dense_column, places=places, width=width, normal=fit_normalisation(normalise, spots, places))
    else:
        assert genes is not None
        column = partial(_sparse, gene_ids=_ids(spots, genes))

    def of_rows(batch: SpotBlock) -> dict[str, pa.Array]:
        assert batch.rows is not None  # they are read
        return column(batch.rows)

    return of_rows


def _ids(spots: Spots, genes: Vocabulary) -> np.ndarray:
    try:
        return genes.ids_of(spots.genes, spots.slide.counts)
    except DataError:
        forget_header(spots.slide)  # a server may have given the line of another file
        raise


def _keep_counts(spots: Spots, places: np.ndarray, width: int, normalise: str) -> _KeptCounts:
    """Read a slide's counts once, for the median total and for all spots."""
    counts, totals = np.zeros((len(spots), width)), np.zeros(len(spots))
    for some, rows in spots.blocks():
        counts[some], totals[some] = rows.dense(places, width), rows.totals()
    median = median_of(counts.sum(1) if normalise == "original" else totals)
    return _KeptCounts(counts, totals, Normalisation(normalise, spots.counts_path, median))


def _spot_columns(spots: Spots, batch: SpotBlock, columns: Collection[str] | None) -> dict[str, pa.Array]:
    slide, part, n = spots.slide, slice(batch.begin, batch.end), batch.end - batch.begin
    same = {
        "slide": slide.name,
        "tech": slide.tech,
        "species": slide.species,
        "tissue": slide.tissue,
        "pmid": slide.pmid,
    }
    labelled = columns is None or "annotation" in columns  # else its file is not read
    return {
        "spot_id": spots.ids[part],
        **{name: pa.repeat(pa.scalar(value, pa.string()), n) for name, value in same.items()},
        "involve_cancer": pa.repeat(pa.scalar(slide.involve_cancer, pa.bool_()), n),
        **{name: pa.array(getattr(spots, name)[part], pa.float32()) for name in ("x", "y")},
        "radius": pa.array(spots.r[part], pa.float32()),
        "um_per_px": pa.repeat(pa.scalar(spots.scale.um_per_px, pa.float32()), n),
        **({"annotation": spots.annotation[part]} if labelled else {}),
    }


def _image_column(batch: SpotBlock, encode: Callable[[np.ndarray], bytes]) -> dict[str, pa.Array]:
    files = pa.array([encode(patch) for patch in batch.patches or ()], pa.binary())
    return {"image": pa.StructArray.from_arrays([files, pa.nulls(len(files), pa.string())], ["bytes", "path"])}


def _sparse(rows: CountRows, gene_ids: np.ndarray) -> dict[str, pa.Array]:
    """Return ascending gene ids and their counts, row by row."""
    ids, counts = gene_ids.take(rows.columns), rows.values.astype(np.float32)
    key = rows.spot * (int(gene_ids.max(initial=0)) + 1) + ids
    if (np.diff(key) < 0).any():  # the slide's columns are not in the vocabulary's order
        order = key.argsort()
        ids, counts = ids[order], counts[order]
    offsets = pa.array(rows.indptr, pa.int32())
    return {name: pa.ListArray.from_arrays(offsets, v) for name, v in (("gene_ids", ids), ("counts", counts))}


def dense_column(rows: CountRows, places: np.ndarray, width: int, normal: Normalisation) -> dict[str, pa.Array]:
    """Return the expression of a panel's genes as vectors of its length."""
    return _vectors(normal.dense(rows.dense(places, width), rows.totals()))


def _vectors(values: np.ndarray) -> dict[str, pa.Array]:
    return {"expression": pa.FixedSizeListArray.from_arrays(values.ravel(), values.shape[1])}


def null_columns(genes: Vocabulary | Panel | None, n: int) -> dict[str, pa.Array]:
    """Return the columns that are made of counts, of n spots of an image alone, which has none: null, not empty."""
    if isinstance(genes, Panel):
        return {"expression": pa.nulls(n, pa.list_(pa.float32(), len(genes.genes)))}
    return {name: pa.nulls(n, pa.list_(kind)) for name, kind in (("gene_ids", pa.int32()), ("counts", pa.float32()))}


def rebatch(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Yield the same rows in tables of 1,000, or of fewer where rows are large, as a prepared data set has them."""
    waiting: list[pa.Table] = []
    for table in tables:
        full = sum(map(len, waiting)) + len(table) > PREPARED_ROWS
        if waiting and (full or sum(t.nbytes for t in waiting) + table.nbytes > PREPARED_BYTES):
            yield pa.concat_tables(waiting).combine_chunks()
            waiting = []
        waiting.append(table)
    if waiting:
        yield pa.concat_tables(waiting).combine_chunks()
