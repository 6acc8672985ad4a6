"""Predictions of expression as a file: one row per fold and tested spot, with the truth and the noise of counting."""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from stimage.core.errors import DataError, one_line
from stimage.core.files import replacing, replacing_folder, writable
from stimage.core.results import plain
from stimage.evaluation.saved.regressors import REGRESSORS, Regressor, regressor_file, write_regressors

PREDICTIONS = "predictions.parquet"
SCORING = b"scoring"  # the key of the file's metadata: all that scores are made of beside the rows
ROWS = 1 << 16  # spots of a row group
KEYS = (("fold", pa.int32()), ("slide", pa.string()), ("spot_id", pa.string()))
VALUES = {"truth": pa.list_(pa.float64()), "noise": pa.list_(pa.float32())}


@dataclass(frozen=True, eq=False)
class PredictedSlide:
    """A slide's n spots that a fold tests: ids (n str), truth (n x genes), the variance that counting gives each value
    of it (``noise``, n x genes), and predictor → prediction (n x genes), "embeddings" first."""

    slide: str
    spot_ids: np.ndarray
    truth: np.ndarray
    noise: np.ndarray
    said: Mapping[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class PredictedFold:
    """A fold: its genes, what is known of it that no prediction tells (``facts``), its slides and regressors."""

    genes: Sequence[str]
    facts: Mapping[str, Any]
    slides: Sequence[PredictedSlide]
    regressors: Mapping[str, Regressor] = field(default_factory=dict)

    def joined(self) -> PredictedSlide:
        """Return all spots of the fold as one slide."""
        return _joined("", self.slides)


@contextmanager
def writing_folds(folder: Path, name: str, groups: Mapping[str, str]) -> Iterator["PredictionWriter"]:
    """Give a writer of a folder's predictions and regressors; both are there once all folds are, or not at all.

    Parameters
    ----------
    name, groups
        How the folds are to be scored, and slide → what is held out as a whole: see `stimage.evaluation.saved.scoring`.
    """
    with replacing(folder / PREDICTIONS) as new, replacing_folder(folder / REGRESSORS) as regressors:
        writer = PredictionWriter(new, regressors, {"name": name, "groups": dict(groups), "folds": []})
        yield writer
        writer.close()
    with writable(folder):
        if not any((folder / REGRESSORS).iterdir()):
            shutil.rmtree(folder / REGRESSORS)  # of trees and of neighbours there are none


class PredictionWriter:
    """Writes folds as they come: see `writing_folds`."""

    def __init__(self, path: Path, regressors: Path, told: dict[str, Any]):
        self.path, self.regressors, self.told = path, regressors, told
        self.writer: pq.ParquetWriter | None = None

    def add(self, fold: PredictedFold) -> None:
        """Write a fold; predictors are those of the first one."""
        number = len(self.told["folds"])
        self.told["folds"].append({"genes": list(fold.genes), "facts": fold.facts})
        if self.writer is None:
            lists = [*VALUES.items(), *((name, VALUES["truth"]) for name in fold.slides[0].said)]
            self.writer = pq.ParquetWriter(self.path, pa.schema([*KEYS, *lists]), write_page_checksum=True)
        for one in fold.slides:
            for at in range(0, len(one.spot_ids), ROWS):
                self.writer.write_table(_table(self.writer.schema, number, one, slice(at, at + ROWS)), ROWS)
        if fold.regressors:
            path = self.regressors / regressor_file(Path(), number).name
            write_regressors(path, fold.regressors, fold.genes, plain(fold.facts))

    def close(self) -> None:
        """Add what scores are made of beside the rows, and end the file."""
        if self.writer is not None:
            self.writer.add_key_value_metadata({SCORING: json.dumps(plain(self.told), ensure_ascii=False)})
            self.writer.close()


def _table(schema: pa.Schema, fold: int, one: PredictedSlide, some: slice) -> pa.Table:
    ids = list(map(str, one.spot_ids[some]))
    columns: list = [[fold] * len(ids), [one.slide] * len(ids), ids]
    for name in schema.names[len(KEYS) :]:
        values = {"truth": one.truth, "noise": one.noise, **one.said}.get(name)
        columns.append([None] * len(ids) if values is None else _lists(values[some], schema.field(name).type))
    return pa.table(columns, schema=schema)


def _lists(values: np.ndarray, kind: pa.DataType) -> pa.Array:
    flat = pa.array(np.ascontiguousarray(values, kind.value_type.to_pandas_dtype()).ravel())
    return pa.ListArray.from_arrays(np.arange(len(values) + 1, dtype=np.int32) * values.shape[1], flat)


def read_told(folder: Path) -> dict[str, Any]:
    """Return the notes on scoring, folds and genes in a folder's file of predictions.

    Raises
    ------
    DataError
        If the file is missing or damaged.
    """
    path = folder / PREDICTIONS
    try:
        return json.loads(pq.read_metadata(path).metadata[SCORING])
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        raise DataError(f"{path}: cannot be read as predictions ({one_line(error)}); make the results again") from None


def read_folds(folder: Path, told: Mapping[str, Any]) -> Iterator[PredictedFold]:
    """Yield the folds of a folder's file of predictions, one in memory at a time.

    Raises
    ------
    DataError
        If the file is damaged, or lacks a fold.
    """
    path, there = folder / PREDICTIONS, 0
    try:
        for number, some in groupby(_slides(path), lambda one: one[0]):
            fold, there = told["folds"][number], there + 1
            yield PredictedFold(fold["genes"], fold["facts"], [slide for _, slide in some])
        if there != len(told["folds"]):
            raise DataError(f"{path}: has spots of {there} of {len(told['folds'])} folds; make the results again")
    except DataError:
        raise
    except (OSError, ValueError, LookupError, TypeError, pa.ArrowException) as error:
        raise DataError(f"{path}: cannot be read as predictions ({one_line(error)}); make the results again") from None


def _slides(path: Path) -> Iterator[tuple[int, PredictedSlide]]:
    """Yield a fold's number and a slide of it, of which the file may have several row groups."""
    parts: list[PredictedSlide] = []
    before = (0, "")
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        for k in range(file.num_row_groups):
            table = file.read_row_group(k)
            key = (table["fold"][0].as_py(), table["slide"][0].as_py())
            if parts and key != before:
                yield before[0], _joined(before[1], parts)
                parts = []
            before = key
            parts.append(_slide_in(table))
    if parts:
        yield before[0], _joined(before[1], parts)


def _slide_in(table: pa.Table) -> PredictedSlide:
    values = {name: _array(table[name]) for name in table.column_names[len(KEYS) :] if not table[name].null_count}
    ids = np.array(table["spot_id"].to_pylist(), str)
    return PredictedSlide(table["slide"][0].as_py(), ids, values.pop("truth"), values.pop("noise"), values)


def _array(column: pa.ChunkedArray) -> np.ndarray:
    lists = column.combine_chunks()
    return lists.flatten().to_numpy(zero_copy_only=False).reshape(len(lists), -1)


def _joined(slide: str, parts: Sequence[PredictedSlide]) -> PredictedSlide:
    ids, truth, noise = (
        np.concatenate([getattr(one, name) for one in parts]) for name in ("spot_ids", "truth", "noise")
    )
    said = {name: np.concatenate([one.said[name] for one in parts]) for name in parts[0].said}
    return PredictedSlide(slide, ids, truth, noise, said)
