"""Predictions of a task as a file, truth beside; and figures computed from it again."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from stimage.core.errors import DataError, one_line
from stimage.core.files import replacing
from stimage.evaluation.hest_bench.running import BenchSpots
from stimage.evaluation.results import read_scores
from stimage.scores.ridge import pearson

PREDICTIONS = "predictions.parquet"
VALUES = pa.list_(pa.float64())
SCHEMA = pa.schema([("fold", pa.int32()), ("slide", pa.string()), ("spot_id", pa.string()), ("truth", VALUES),
                    ("predicted", VALUES)])  # fmt: skip
GENES = b"genes"
CLOSE = 1e-9  # of a figure that is computed again


def write_predictions(
    path: Path,
    genes: Sequence[str],
    spots: Mapping[str, BenchSpots],
    by_fold: Sequence[Mapping[str, tuple[np.ndarray, np.ndarray]]],
) -> str:
    """Write a row a fold and tested spot, with truth and prediction of each gene; return the file's SHA-256."""
    schema = SCHEMA.with_metadata({GENES: "\n".join(genes).encode()})
    with replacing(path) as new, pq.ParquetWriter(new, schema) as writer:
        for fold, samples in enumerate(by_fold):
            for name, (truth, predicted) in samples.items():
                n = len(truth)
                columns = [[fold] * n, [name] * n, list(spots[name].barcodes), *(map(_lists, (truth, predicted)))]
                writer.write_table(pa.table(columns, schema=schema))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def verify_predictions(folder: Path) -> list[str]:
    """Compute the figures of a task's results again from its predictions; return what differs, in words.

    Raises
    ------
    DataError
        If a file is missing or damaged.
    """
    results, path = read_scores(folder), folder / PREDICTIONS
    try:
        if hashlib.sha256(path.read_bytes()).hexdigest() != results["data"].get("predictions_sha256"):
            return [f"{path}: is not the file that was written with the results: its bytes differ"]
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: cannot be read as predictions ({one_line(error)})") from None
    wrong, means, overall = [], [], results["overall"]
    for k, fold in enumerate(overall["folds"]):
        rows = table.filter(pa.compute.equal(table["fold"], k))
        truth, predicted = (np.stack(rows[name].to_numpy()) for name in ("truth", "predicted"))
        r = pearson(truth, predicted)
        means.append(float(r.mean()))
        said = [fold["by_gene"].get(gene) for gene in overall["genes"]]
        wrong += [f"fold {k}: {gene}: {a}, but {b:.6f} by the predictions"
                  for gene, a, b in zip(overall["genes"], said, r.tolist()) if _differ(a, b)]  # fmt: skip
        if _differ(fold["pearson"], means[-1]):
            wrong.append(f"fold {k}: mean {fold['pearson']}, but {means[-1]:.6f} by the predictions")
    for name, value in (("mean", np.mean(means)), ("std", np.std(means))):
        if _differ(overall["pearson"][name], float(value)):
            wrong.append(f"{name} over folds {overall['pearson'][name]}, but {value:.6f} by the predictions")
    return wrong


def _lists(values: np.ndarray) -> pa.Array:
    flat = pa.array(np.ascontiguousarray(values, np.float64).ravel())
    return pa.ListArray.from_arrays(np.arange(len(values) + 1) * values.shape[1], flat)


def _differ(said: float | None, found: float) -> bool:
    if said is None or np.isnan(found):
        return not (said is None and np.isnan(found))
    return abs(said - found) > CLOSE
