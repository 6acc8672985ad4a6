"""A table of predictions that is written and read at once, with what scores are made of beside it."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from stimage.core.errors import DataError, one_line
from stimage.core.files import replacing
from stimage.core.results import plain
from stimage.evaluation.saved.predictions import PREDICTIONS, SCORING, read_told
from stimage.evaluation.saved.regressors import REGRESSORS


def write_rows(folder: Path, table: pa.Table, told: Mapping) -> None:
    """Write a folder's predictions; regressors of earlier results are removed."""
    text = json.dumps(plain(told), ensure_ascii=False)
    with replacing(folder / PREDICTIONS) as new:
        pq.write_table(table.replace_schema_metadata({SCORING: text}), new, write_page_checksum=True)
    shutil.rmtree(folder / REGRESSORS, ignore_errors=True)


def read_rows(folder: Path) -> tuple[pa.Table, dict[str, Any]]:
    """Return a folder's predictions, and what scores are made of beside them.

    Raises
    ------
    DataError
        If the file is missing or damaged.
    """
    path, told = folder / PREDICTIONS, read_told(folder)
    try:
        return pq.read_table(path, page_checksum_verification=True), told
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: cannot be read as predictions ({one_line(error)}); make the results again") from None
