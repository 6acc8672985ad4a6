"""Embeddings of spots as files: one vector per spot, with the spot's slide and the model's name."""

import json
import os
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stimage.core.errors import DataError, one_line, unreadable
from stimage.core.files import listed, replacing, room_for
from stimage.loading.provenance import Provenance

EMBEDDING_COLUMNS = ("spot_id", "slide", "embedding")
MODEL, SEEN = b"model", b"provenance"  # keys of the schema's metadata
KINDS = ("images", "genes", "text")  # what of spots is embedded
ROW_GROUP = 4096  # spots
FORMS = "Parquet files as write_embeddings makes them, or a .csv file with the spot ids in the first column"

TABLE = Path("table")  # what errors call a table in memory


@dataclass(frozen=True, eq=False)
class Embeddings:
    """Vectors of n spots, float32 (n, d), in the order of their ids.

    ``spot_ids`` and ``slides`` are arrays of str (n,). ``model`` names the model, and ``provenance`` has the slides
    that it has seen. Both are None where the files don't have them.
    """

    spot_ids: np.ndarray
    slides: np.ndarray
    vectors: np.ndarray
    model: str | None = None
    provenance: Provenance | None = None

    def __len__(self) -> int:
        return len(self.spot_ids)

    def take(self, rows: np.ndarray) -> "Embeddings":
        """Return some embeddings, by number of row or by a bool for each."""
        return Embeddings(self.spot_ids[rows], self.slides[rows], self.vectors[rows], self.model, self.provenance)

    def to_frame(self) -> pd.DataFrame:
        """Return a table by spot id: ``slide``, then one column per number of the vector; ``attrs`` names the model."""
        table = pd.DataFrame(self.vectors, pd.Index(self.spot_ids, name="spot_id"))
        table.insert(0, "slide", self.slides)
        table.attrs |= {"model": self.model, "provenance": self.provenance and self.provenance.record}
        return table


def read_embeddings(
    path: "str | os.PathLike | pd.DataFrame | Embeddings", slide_names: Iterable[str] | None = None
) -> Embeddings:
    """Read embeddings, sorted by spot id, for any order of the files.

    Parameters
    ----------
    path
        `Embeddings`, which are returned as they are; a table as `Embeddings.to_frame` makes it; or a path. The path is
        a folder with one Parquet file per slide, one Parquet file as `write_embeddings` makes it, or a CSV. A CSV has
        the spot ids in the first column, the slide in the column ``slide`` if there is one, and the vector in all
        others.
    slide_names
        The names of all slides. For a CSV without the column ``slide``, the slide of a spot is the longest name that
        its id begins with.

    Raises
    ------
    DataError
        If there is no such file, or it is empty; if a value is not a number, a spot occurs twice, or the slide of a
        spot is unknown; or if files are of several models, or of vectors of several lengths.
    """
    if isinstance(path, Embeddings):
        return path
    if isinstance(path, pd.DataFrame):
        said = (path.attrs.get(name) for name in ("model", "provenance"))
        return _joined(TABLE, [TABLE], [_of_table(TABLE, path.copy(), slide_names, *said)])
    if not isinstance(path, str | os.PathLike):
        raise ValueError(f"embeddings: a {type(path).__name__} is none; pass what embed returns, a table with the "
                         "spot ids as its index, or a path")  # fmt: skip
    path = Path(path)
    if path.is_dir():
        files = listed(path, "*.parquet")
        if not files:
            raise DataError(f"{path}: has no .parquet file; make embeddings first, or name the folder that has them")
        parts = [_read_parquet(file) for file in files]
    elif not path.is_file():
        raise DataError(f"{path}: there is no such file or folder of embeddings")
    else:
        files, is_csv = [path], path.suffix.lower() == ".csv"
        parts = [_read_csv(path, slide_names) if is_csv else _read_parquet(path)]
    return _joined(path, files, parts)


def are_embeddings(path: str) -> bool:
    """Return whether a path has embeddings: a folder of Parquet files, one such file, or a CSV."""
    there = Path(path)
    return bool(listed(there, "*.parquet")) if there.is_dir() else there.suffix.lower() in (".parquet", ".csv")


def folders_of_kinds(folder: Path) -> list[Path]:
    """Return the folders in a folder that are named after a kind of embeddings, images first."""
    return [path for kind in KINDS if (path := folder / kind).is_dir()]


def write_embeddings(
    path: str | os.PathLike,
    spot_ids: Sequence[str],
    slide: str,
    vectors: np.ndarray,
    model: str,
    provenance: Provenance | None = None,
) -> None:
    """Write a slide's embeddings into one Parquet file, whole or not at all; the same input gives the same bytes.

    Parameters
    ----------
    path
        The file.
    spot_ids, vectors
        n ids, and float (n, d), written as float32.
    provenance
        The slides that the model has seen, if they are known. Scores of slides that it was trained on are then refused.

    Raises
    ------
    DataError
        If there are not as many ids as vectors.
    """
    vectors = np.ascontiguousarray(vectors, np.float32)
    if vectors.ndim != 2 or len(vectors) != len(spot_ids):
        raise DataError(f"{slide}: {len(spot_ids)} spot ids and vectors of shape {vectors.shape} do not match")
    writer = EmbeddingWriter(Path(path), slide, model, vectors.shape[1], provenance)
    try:
        writer.add(list(map(str, spot_ids)), vectors)
        writer.finish()
    finally:
        writer.discard()


class _Discarded(Exception):
    """The unfinished file is not wanted."""


class EmbeddingWriter:
    """A slide's file, written some thousand spots at a time; it gets its name when it is complete."""

    def __init__(self, path: Path, slide: str, model: str, width: int, provenance: Provenance | None = None):
        kinds = (pa.string(), pa.string(), pa.list_(pa.float32(), width))
        said = {MODEL: model.encode()} | ({SEEN: json.dumps(provenance.record)} if provenance else {})
        self.schema = pa.schema(list(zip(EMBEDDING_COLUMNS, kinds)), said)
        self.path, self.slide, self.width, self.waiting = path, slide, width, []
        self.open = ExitStack()
        half = self.open.enter_context(replacing(path))
        self.writer = self.open.enter_context(pq.ParquetWriter(half, self.schema, write_page_checksum=True))

    def add(self, spot_ids: Sequence[str], vectors: np.ndarray) -> None:
        """Add vectors (float32, n x width)."""
        lists = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), self.width)
        slides = pa.repeat(pa.scalar(self.slide, pa.string()), len(vectors))
        self.waiting.append(pa.table([pa.array(spot_ids, pa.string()), slides, lists], schema=self.schema))
        if sum(map(len, self.waiting)) >= ROW_GROUP:
            self._flush()

    def finish(self) -> None:
        """Write the rest, and give the file its name."""
        self._flush()
        self.open.close()

    def discard(self) -> None:
        """Remove an unfinished file; a finished file stays."""
        with suppress(_Discarded, OSError, DataError), self.open:  # the latter of a full disk
            raise _Discarded

    def _flush(self) -> None:
        if self.waiting:
            with room_for(self.path):
                self.writer.write_table(pa.concat_tables(self.waiting).combine_chunks())
            self.waiting = []


def _read_parquet(path: Path) -> Embeddings:
    try:
        table = pq.read_table(path, page_checksum_verification=True)
        table.validate(full=True)  # texts may be no texts
        columns, said = table.column_names, table.schema.metadata or {}
        model = said[MODEL].decode() if MODEL in said else None
    except (OSError, ValueError, pa.ArrowException) as error:
        remedy = "make it again" if path.suffix.lower() == ".parquet" else f"embeddings are {FORMS}"
        raise unreadable(path, error, f"is no Parquet file that can be read ({one_line(error)}); {remedy}") from None
    if missing := [name for name in EMBEDDING_COLUMNS if name not in columns]:
        found = ", ".join(columns)
        raise DataError(f"{path}: has no column {missing[0]!r}, but {found}; expected {', '.join(EMBEDDING_COLUMNS)}")
    lists = table["embedding"].combine_chunks()
    lengths = pc.unique(pc.list_value_length(lists)).to_pylist()
    if len(lengths) > 1 or None in lengths:
        raise DataError(f"{path}: vectors have the lengths {sorted(map(str, lengths))}; they must have one")
    values = pc.list_flatten(lists).to_numpy(zero_copy_only=False).astype(np.float32)
    vectors = values.reshape(len(table), lengths[0] if lengths else 0)
    seen = _seen(said[SEEN], path) if SEEN in said else None
    spot_ids, slides = (np.array(table[name].to_pylist(), dtype=str) for name in EMBEDDING_COLUMNS[:2])
    return Embeddings(spot_ids, slides, vectors, model, seen)


def _seen(text: bytes, path: Path) -> Provenance:
    try:
        record = json.loads(text)
    except ValueError:
        record = None  # which is told as damaged
    return Provenance.parse(record, path)


def _read_csv(path: Path, slide_names: Iterable[str] | None) -> Embeddings:
    try:
        table = pd.read_csv(path, index_col=0, dtype={0: str, "slide": str})
    except (OSError, ValueError) as error:
        raise unreadable(path, error, f"is no comma-separated table ({one_line(error)})") from None
    return _of_table(path, table, slide_names)


def _of_table(
    path: Path,
    table: pd.DataFrame,
    slide_names: Iterable[str] | None,
    model: str | None = None,
    provenance: dict | None = None,
) -> Embeddings:
    if path is TABLE and isinstance(table.index, pd.RangeIndex):
        raise DataError(f"{path}: its index is numbered; make the spot ids its index, as by table.set_index('spot_id')")
    ids = table.index.astype(str).to_numpy(dtype=str)
    slides = table.pop("slide").fillna("").to_numpy(dtype=str) if "slide" in table else None
    if text := [name for name in table.columns if not pd.api.types.is_numeric_dtype(table[name])]:
        raise DataError(
            f"{path}: column {text[0]!r} is not of numbers; only spot ids, slide and the vector belong here"
        )
    if slides is None:
        slides = _slides_of(path, ids, slide_names)
    seen = None if provenance is None else Provenance.parse(provenance, path)
    return Embeddings(ids, slides, table.to_numpy(np.float32), model, seen)


def _slides_of(path: Path, spot_ids: np.ndarray, slide_names: Iterable[str] | None) -> np.ndarray:
    """Find each spot's slide by the beginning of its id."""
    longest_first = sorted(slide_names or (), key=lambda name: (-len(name), name))
    slides = []
    for number, spot in enumerate(spot_ids.tolist(), 1):
        slide = next((name for name in longest_first if spot.startswith(f"{name}_")), None)
        if slide is None:
            raise DataError(f"{path}: row {number}: no slide's name begins spot id {spot!r}; add a column 'slide', "
                            "or name the root whose slides these are")  # fmt: skip
        slides.append(slide)
    return np.array(slides, dtype=str)


def _joined(path: Path, files: list[Path], parts: list[Embeddings]) -> Embeddings:
    for what, values in (
        ("models", [part.model for part in parts]),
        ("lengths of vector", [part.vectors.shape[1] for part in parts]),
    ):
        other = next((k for k, value in enumerate(values) if value != values[0]), None)
        if other is not None:
            raise DataError(f"{path}: two {what} are mixed: {files[0].name} has {values[0]}, {files[other].name} has "
                            f"{values[other]}; keep one folder a model")  # fmt: skip
    ids, slides, vectors = (
        np.concatenate([getattr(p, name) for p in parts]) for name in ("spot_ids", "slides", "vectors")
    )
    if not vectors.size:
        raise DataError(f"{path}: has no embeddings; make them first")
    bad = np.flatnonzero(~np.isfinite(vectors).all(1))
    if len(bad):
        raise DataError(f"{path}: the vector of spot {str(ids[bad[0]])!r} has a value that is no finite number "
                        f"({len(bad)} of {len(ids)} spots); embed them again")  # fmt: skip
    order = np.argsort(ids, kind="stable")
    ids = ids[order]
    same = np.flatnonzero(ids[1:] == ids[:-1])
    if len(same):
        raise DataError(f"{path}: spot {str(ids[same[0]])!r} occurs twice; keep one of its rows")
    seen = [part.provenance for part in parts if part.provenance]
    return Embeddings(
        ids, slides[order], vectors[order], parts[0].model, reduce(Provenance.joined, seen) if seen else None
    )
