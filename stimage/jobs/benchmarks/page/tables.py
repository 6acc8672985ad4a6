"""Write the tables of a benchmark as files, and check whether files are still the tables of their results."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from stimage.core.errors import DataError
from stimage.core.files import write_text
from stimage.core.results import RESULTS
from stimage.core.tables import Row, read_table
from stimage.evaluation.tables.forms import TABLE_FORMATS, format_table
from stimage.jobs.benchmarks.hest import COLUMNS as OF_HEST
from stimage.jobs.benchmarks.hest import FIGURES as HEST_FIGURES
from stimage.jobs.benchmarks.hest import read_row
from stimage.jobs.benchmarks.running import COLUMNS, FIGURES, read_figure
from stimage.jobs.benchmarks.tabulating import (
    above_first,
    apart_by_unit,
    apart_over_units,
    by_task,
    by_unit,
    of_ceilings,
    over_units,
)

UNITS = "units.csv"  # a row a task, unit and encoder, in full precision: what all tables are made of
SUFFIX = {"markdown": ".md", "latex": ".tex", "csv": ".csv"}
TEXTS = ("task", "unit", "head", "group", "encoder", "figure", "dtype", "results", "kind")  # all else are numbers
ENCODER, BASELINE = "encoder", "baseline"


def write_tables(found: pd.DataFrame, encoders: Sequence[str], out: Path) -> dict[str, list[list[str]]]:
    """Write units.csv, and each table as Markdown, LaTeX and CSV; return the tables by name.

    Parameters
    ----------
    found
        The table that `benchmark_root` or `benchmark` returns.
    encoders
        The encoders that are not baselines, by name. Differences are to the first of them.
    """
    kinds = [ENCODER if name in encoders else BASELINE for name in found.encoder]
    order = [encoders.index(name) + 1 if name in encoders else 0 for name in found.encoder]
    places = [Path(path).relative_to(out).as_posix() if path else "" for path in found.results]
    units = found.assign(results=places, kind=kinds, order=order)
    write_text(out / UNITS, units.to_csv(index=False, lineterminator="\n"))
    tables = _tables(found, encoders)
    for name, table in tables.items():
        for form in TABLE_FORMATS:
            write_text(out / f"{name}{SUFFIX[form]}", format_table(table, form))
    return tables


def check_tables(out: Path) -> list[str]:
    """Return, in words, what in a benchmark's tables is not what its results say; nothing if there is no units.csv.

    Raises
    ------
    DataError
        If units.csv is damaged, or results that it names are.
    """
    if not (out / UNITS).exists():
        return []
    found = _read(out / UNITS)
    places = [out / path / RESULTS for path in dict.fromkeys(found.results) if path]
    if lost := [f"{path}: is missing" for path in places if not path.is_file()]:
        return lost
    encoders = list(dict.fromkeys(found[found.kind == ENCODER].sort_values("order").encoder))
    tables = _tables(found.assign(results=[str(out / path) if path else "" for path in found.results]), encoders)
    wrong = list(_differ(out, found))
    for name, table in tables.items():
        for form in TABLE_FORMATS:
            path = out / f"{name}{SUFFIX[form]}"
            if path.exists() and path.read_text(encoding="utf-8") != format_table(table, form):
                wrong.append(f"{path}: is not the table of {UNITS}")
    return wrong


def _read(path: Path) -> pd.DataFrame:
    columns, rows = read_table(path, needs=("task", "encoder", "results", "kind"))
    needs = [*(OF_HEST if "head" in columns else COLUMNS), "kind", "order"]
    if lost := [name for name in needs if name not in columns]:
        raise DataError(f"{path}: has no column {lost[0]!r}; run the benchmark again")
    cells = {name: [row[name] if name in TEXTS else _number(row, name) for row in rows] for name in needs}
    return pd.DataFrame(cells)


def _number(row: Row, name: str) -> float:
    text = row[name]
    try:
        return int(text) if text.isdecimal() else float(text or "nan")
    except ValueError:
        raise DataError(f"{row.source}: {name} {text!r} is no number; run the benchmark again") from None


def _differ(out: Path, found: pd.DataFrame) -> Iterator[str]:
    """Yield which figures of units.csv are not those of the results that it names."""
    hest = "head" in found
    for row in found[found.results != ""].to_dict("records"):
        place = out / row["results"]
        said = read_row(place) if hest else read_figure(row["task"], row["figure"], place)
        for name, value in zip(HEST_FIGURES if hest else FIGURES, said):
            value = float("nan") if value is None else value
            if value != row[name] and not (value != value and row[name] != row[name]):
                where = f"{row['task']}, {row['head' if hest else 'unit']}, {row['encoder']}"
                yield f"{out / UNITS}: {where}: {name} is {row[name]}, but {value} by {place / RESULTS}"


def _tables(found: pd.DataFrame, encoders: Sequence[str]) -> dict[str, list[list[str]]]:
    shares = of_ceilings(found)
    beside = {"shares_of_ceilings": shares} if len(shares) > 1 else {}
    if "head" in found:
        return {"benchmark": by_task(found), "differences": above_first(found, encoders[0]), **beside}
    means, apart = over_units(found, encoders), apart_over_units(found, encoders)
    return {"benchmark": by_unit(found), "differences": apart_by_unit(found, encoders), "means": means,
            "differences_of_means": apart, **beside}  # fmt: skip
