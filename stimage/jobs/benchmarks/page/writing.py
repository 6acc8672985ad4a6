"""Write the page of a benchmark: charts and tables for each task and over all tasks, with the sources of figures."""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from stimage.core.files import write_text
from stimage.evaluation.results import read_scores
from stimage.evaluation.seen import seen_of_all, seen_words
from stimage.jobs.benchmarks.naming import short_names
from stimage.jobs.benchmarks.page.charts import chart_of
from stimage.jobs.benchmarks.tabulating import ALL, apart_by_unit, apart_over_units, tables_of
from stimage.scores.intervals import mean_interval
from stimage.towers.image_towers import UNTRAINED

PAGE, TEMPLATE = "benchmark.html", files("stimage.jobs.benchmarks.page")
NEEDED = ("task", "unit", "group", "encoder", "figure", "value", "low", "high", "groups", "of_ceiling", "results")


def write_page(found: pd.DataFrame, encoders: Sequence[str], out: Path, title: str, notes: Sequence[str] = ()) -> Path:
    """Write OUT/benchmark.html, and return its path; the same figures give the same bytes.

    Parameters
    ----------
    found
        The table that `benchmark_root` returns, or that `as_units` makes of the table of `benchmark`.
    encoders
        The encoders that are not baselines, by name. Differences are to the first one that has a figure for a task.
    title
        The title of the page: what was measured.
    notes
        Remarks about the whole benchmark.
    """
    names = short_names(list(dict.fromkeys(found.encoder)))
    page = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    page.filters |= {"figure": _figure, "percent": lambda value: "" if _lacks(value) else f"{value:.0%}"}
    over = apart_over_units(found, encoders)[1:]
    tasks = [_task(found, name, table, groups, encoders, names, over) for name, table, groups in
             tables_of(found, encoders)]  # fmt: skip
    shown = {
        "title": title, "notes": notes, "names": names, "tasks": [task for task in tasks if task["name"] != ALL],
        "all": next((task for task in tasks if task["name"] == ALL), None),
        "style": TEMPLATE.joinpath("page.css").read_text("utf-8"), **_provenance(found, encoders, names),
    }  # fmt: skip
    text = page.from_string(TEMPLATE.joinpath("page.html").read_text("utf-8")).render(shown)
    write_text(path := out / PAGE, text)
    return path


def as_units(found: pd.DataFrame) -> pd.DataFrame:
    """Return the table of `benchmark` in the form of `benchmark_root`: each head becomes a task, each task a unit."""
    renamed = found.rename(columns={"task": "unit", "head": "task", "pearson": "value", "folds": "groups"})
    return renamed.assign(group=renamed.unit, figure="pearson")


def _task(
    found: pd.DataFrame, name: str, table: pd.DataFrame, groups: Any, encoders: Sequence[str], names: dict, over: list
) -> dict[str, Any]:
    """Return what the page shows of a task, or of all: the chart, rows an encoder, and differences."""
    rows, own = [], found if name == ALL else found[found.task == name]
    cells = {(row["encoder"], row["task"], row["unit"]): row for row in own.to_dict("records")}
    for encoder in table.columns:
        interval = mean_interval(table[encoder].to_numpy(), groups)
        shares = [cells[(encoder, *key)]["of_ceiling"] for key in table.index]
        share = sum(shares) / len(shares) if not any(map(_lacks, shares)) else None
        kind = "baseline" if encoder not in encoders else "untrained" if encoder.startswith(UNTRAINED) else "encoder"
        rows.append({"encoder": names[encoder], "kind": kind, "mean": interval["value"], "interval": interval,
                     "share": share, "values": table[encoder].tolist(),
                     "cells": [cells[(encoder, *key)] for key in table.index]})  # fmt: skip
    rows.sort(key=lambda row: -row["mean"])
    without = [names[one] for one in encoders if one not in table.columns and name != ALL]
    apart = [] if name == ALL else apart_by_unit(own, encoders)[1:]
    first = next((names[one] for one in encoders if one in table), "")  # of those that have a figure
    return {"name": name, "first": first, "rows": rows, "chart": chart_of(rows), "without": without,
            "units": [" ".join(key) if name == ALL else key[1] for key in table.index],
            "figure": own.figure.iloc[0], "studied": _studied(own), "groups": len(set(groups)),
            "over": [[names[line[1]], *line[3:]] for line in over if line[0] == name],
            "apart": [[line[1], names[line[2]], *line[4:]] for line in apart]}  # fmt: skip


def _studied(own: pd.DataFrame) -> list[tuple]:
    """Return unit, slides, studies and spots of each unit, where these are told."""
    if "spots" not in own:
        return []
    units = own.drop_duplicates("unit")
    return list(units[["unit", "slides", "studies", "spots"]].itertuples(index=False, name=None))


def _provenance(found: pd.DataFrame, encoders: Sequence[str], names: dict[str, str]) -> dict[str, Any]:
    """Return the sources of the figures: models, protocols, versions."""
    made, protocols, versions = [], {}, {}
    for name in encoders:
        own = found[(found.encoder == name) & (found.results != "")]
        if not len(own):
            made.append((names[name], name, "", "", "", ""))
            continue
        results = [read_scores(path) for path in own.results]
        data, dtype = results[0]["data"], own["dtype"].iloc[0] if "dtype" in own else ""
        by_slide: dict[str, Any] = next(iter(data.get("by_slide", {}).values()), {})
        seen = seen_of_all([one["data"].get("seen") for one in results])
        width = data.get("dimensions") or by_slide.get("dimensions") or ""
        made.append((names[name], name, data.get("model") or "", width, dtype or "as it is", seen_words(seen)))
        for task, result in zip(own.task, results):
            card = result["protocol"]
            told = (task, f"{card['name']} {card['version']}", [], result["seeds"])
            *_, digests, _ = protocols.setdefault(task, told)
            digests += {card["sha256"][:12]} - {*digests}  # units of one task may be of several configurations
            versions |= result["versions"]
    return {"made": made, "protocols": list(protocols.values()), "versions": versions}


def _lacks(value: object) -> bool:
    return value is None or value != value


def _figure(value: float | None) -> str:
    return "–" if value is None or _lacks(value) else f"{value:.3f}"
