"""Results as rows and tables: CSV, Markdown and LaTeX."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from stimage.core.files import write_text
from stimage.core.tables import csv_text

LEFT_OUT = ("by_fold", "confusion", "alpha", "classes", "intervals", "ceilings")  # not figures of their own
TABLE_FORMATS = ("markdown", "latex", "csv")
LATEX = {mark: f"\\{mark}" for mark in "&%$#_{}"} | {"±": r"$\pm$", "–": "--", "<": r"$<$", ">": r"$>$"} | {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}  # fmt: skip
SCORE_COLUMNS = ("scope", "figure", "value", "std", "low", "high", "groups")


class Score(NamedTuple):
    """A figure: its name, value, standard deviation, and the interval of `stimage.scores.intervals` if it has one."""

    name: str
    value: float | None
    std: float | None = None
    interval: Mapping | None = None


def score_items(entry: Mapping, prefix: str = "") -> Iterator[Score]:
    """Yield all scores in a part of the results; names of nested scores are joined by dots."""
    intervals = entry.get("intervals", {})
    for key, value in entry.items():
        name = f"{prefix}{key}"
        if key in LEFT_OUT or isinstance(value, str | list | bool):
            continue
        if not isinstance(value, Mapping):
            yield Score(name, value, None, intervals.get(key))
        elif "mean" in value and "std" in value:
            yield Score(name, value["mean"], value["std"], intervals.get(key))
        else:
            yield from score_items(value, f"{name}.")


def score_rows(slides: Mapping[str, Mapping], overall: Mapping) -> Iterator[tuple]:
    """Yield a row of `SCORE_COLUMNS` for each score of each slide, and of all ("overall")."""
    for scope, entry in (*slides.items(), ("overall", overall)):
        for name, value, std, interval in score_items(entry):
            yield scope, name, value, std, *((interval or {}).get(key) for key in ("low", "high", "groups"))


def write_csv(path: Path, results: Mapping) -> None:
    """Write all scores of the results as a table with the columns `SCORE_COLUMNS`."""
    write_text(path, results_csv(results))


def results_csv(results: Mapping) -> str:
    """Return the text of `write_csv`."""
    return csv_text([SCORE_COLUMNS, *score_rows(results["slides"], results["overall"])])


def format_table(table: Sequence[Sequence[str]], form: str) -> str:
    """Return a table as text in one of `TABLE_FORMATS`."""
    if form == "csv":
        return csv_text(table)
    if form == "markdown":
        lines = [table[0], ["---", *["---:"] * (len(table[0]) - 1)], *table[1:]]
        return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)
    rows = [" & ".join(map(_latex, line)) + r" \\" for line in table]
    head = rf"\begin{{tabular}}{{l{'r' * (len(table[0]) - 1)}}}"
    return "\n".join([head, r"\hline", rows[0], r"\hline", *rows[1:], r"\hline", r"\end{tabular}", ""])


def score_cell(score: Score) -> str:
    """Return a score in the form of a table: value, ± standard deviation, and the interval in brackets."""
    if score.value is None:
        return "–"
    text = str(score.value) if isinstance(score.value, int) else f"{score.value:.3f}"
    text += "" if score.std is None else f" ± {score.std:.3f}"
    low, high = ((score.interval or {}).get(key) for key in ("low", "high"))
    return text if low is None or high is None else f"{text} [{low:.3f}, {high:.3f}]"


def _latex(cell: str) -> str:
    return "".join(LATEX.get(mark, mark) for mark in cell)
