"""Results as rows and tables: CSV, Markdown and LaTeX."""

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from stimage.core.errors import DataError
from stimage.core.files import write_text
from stimage.core.tables import csv_text
from stimage.evaluation.results import read_scores
from stimage.evaluation.seen import UNKNOWN, seen_words

LEFT_OUT = ("by_fold", "confusion", "alpha", "classes", "bootstrap")  # not figures of their own
MAIN = ("pooled.*.macro_f1", "*.silhouette", "*.calinski_harabasz", "*.davies_bouldin", "pooled.pearson",
        "pooled.baselines.*.pearson", "*.recall@10")  # fmt: skip
SEEN_COLUMN = "slides seen"
TABLE_FORMATS = ("markdown", "latex", "csv")


def score_items(entry: Mapping, prefix: str = "") -> Iterator[tuple[str, float | None, float | None]]:
    """Yield (name, value, std) of all scores in a part of the results; names of nested scores are joined by dots."""
    for key, value in entry.items():
        name = f"{prefix}{key}"
        if key in LEFT_OUT or isinstance(value, str | list | bool):
            continue
        if not isinstance(value, Mapping):
            yield name, value, None
        elif "mean" in value and "std" in value:
            yield name, value["mean"], value["std"]
        else:
            yield from score_items(value, f"{name}.")


def write_csv(path: Path, results: Mapping) -> None:
    """Write all scores of the results as a table: scope (a slide, or "overall"), figure, value, std."""
    rows = [(scope, *row) for scope, entry in results["slides"].items() for row in score_items(entry)]
    rows += [("overall", *row) for row in score_items(results["overall"])]
    write_text(path, csv_text([("scope", "figure", "value", "std"), *rows]))


def compare_results(
    paths: Sequence[Path], names: Sequence[str], wanted: Sequence[str] | None
) -> tuple[list[list[str]], list[str]]:
    """Return a table, with a line a results file and a column a score of ``overall``, and notes on differences.

    Parameters
    ----------
    names
        What to call the results: one each.
    wanted
        Names of figures, or how they begin; None takes all.

    Raises
    ------
    DataError
        If the results are of several protocols, configurations, spots or seeds, or lack a figure.
    """
    all_results = [read_scores(path) for path in paths]
    for path, results in zip(paths, all_results):
        _check_same(paths[0], all_results[0], path, results)
    tables = [{name: (value, std) for name, value, std in score_items(results["overall"])} for results in all_results]
    columns = [name for name in tables[0] if wanted is None or any(_begins(name, w) for w in wanted)]
    unknown = [w for w in wanted or () if not any(_begins(name, w) for name in tables[0])]
    if unknown:
        raise DataError(f"{paths[0]}: has no figure {unknown[0]!r}; it has {', '.join(tables[0])}")
    for path, table in zip(paths, tables):
        if lost := [name for name in columns if name not in table]:
            raise DataError(f"{path}: has no figure {lost[0]!r}, but {paths[0]} has; choose figures with --figures")
    lines = [[name, *(_cell(*table[column]) for column in columns)] for name, table in zip(names, tables)]
    lines, words = [["", *columns], *lines], [seen_words(results["data"].get("seen")) for results in all_results]
    if {*words} - {UNKNOWN, "none"}:  # beside the figures, which it makes too good
        lines = [[line[0], word, *line[1:]] for line, word in zip(lines, [SEEN_COLUMN, *words])]
    return lines, list(_notes(paths, all_results))


def main_scores(table: Sequence[Sequence[str]]) -> list[list[str]]:
    """Return the columns of `compare_results`'s table that are in `MAIN`; all columns if none is."""
    kept = [k for k, name in enumerate(table[0]) if any(fnmatchcase(name, pattern) for pattern in MAIN)]
    beside = [0, 1] if table[0][1:2] == [SEEN_COLUMN] else [0]
    return [[line[k] for k in [*beside, *kept]] if kept else list(line) for line in table]


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


def _check_same(first: Path, ours: Mapping, path: Path, theirs: Mapping) -> None:
    for what, one, other in (
        ("protocols", *(f"{r['protocol']['name']} {r['protocol']['version']}" for r in (ours, theirs))),
        ("configurations", ours["protocol"]["config"], theirs["protocol"]["config"]),
        ("sets of spots", *(_spots_of(r["data"]) for r in (ours, theirs))),
        ("sets of seeds", ours["seeds"], theirs["seeds"]),
    ):
        if one != other:
            raise DataError(f"two {what} can't be compared: {first} has {one}, {path} has {other}")


def _spots_of(data: Mapping) -> str | dict:
    """Return the digest of the spots; where each slide has its own, how many spots each has."""
    return data.get("sha256") or {slide: one["sha256"] for slide, one in data.get("by_slide", {}).items()}


def _notes(paths: Sequence[Path], all_results: Sequence[Mapping]) -> Iterator[str]:
    for path, results in zip(paths[1:], all_results[1:]):
        for package, number in results["versions"].items():
            if (first := all_results[0]["versions"].get(package)) != number:
                yield f"{paths[0]} was made with {package} {first}, {path} with {number}"


def _begins(name: str, wanted: str) -> bool:
    return name == wanted or name.startswith(f"{wanted}.")


def _cell(value: float | None, std: float | None) -> str:
    if value is None:
        return "–"
    text = str(value) if isinstance(value, int) else f"{value:.3f}"
    return text if std is None else f"{text} ± {std:.3f}"


def _latex(cell: str) -> str:
    for mark in "&%$#_{}":
        cell = cell.replace(mark, f"\\{mark}")
    return cell.replace("±", r"$\pm$").replace("–", "--")
