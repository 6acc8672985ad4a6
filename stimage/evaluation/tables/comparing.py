"""Results side by side: a table of their figures, and their paired differences."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from stimage.core.errors import DataError
from stimage.evaluation.results import read_scores
from stimage.evaluation.seen import seen_words
from stimage.evaluation.tables.forms import Score, score_cell, score_items
from stimage.scores.intervals import paired_difference, told

MAIN = ("pooled.*.macro_f1", "pooled.embedding.macro_f1_together", "*.silhouette", "*.calinski_harabasz",
        "*.davies_bouldin", "pooled.pearson", "per_slide.pearson", "per_slide.of_ceiling",
        "pooled.baselines.*.pearson", "*.recall@10")  # fmt: skip
SEEN_COLUMN = "slides seen"


@dataclass(frozen=True)
class Comparison:
    """Tables of text, their first line the heads.

    ``scores`` has a line a results file and a column a figure; ``differences`` a line for each figure that has an
    interval, and each results file but the first: how much it is above the first, and the interval of that. ``notes``
    tell of differences between the files.
    """

    scores: list[list[str]]
    differences: list[list[str]]
    notes: list[str]


def compare_results(paths: Sequence[Path], names: Sequence[str], wanted: Sequence[str] | None) -> Comparison:
    """Compare the scores of ``overall`` of several results.

    Parameters
    ----------
    names
        Names of the results: one each.
    wanted
        Names of figures, or their beginnings; None takes all.

    Raises
    ------
    DataError
        If the results are of several protocols, configurations, spots, groups or seeds, or lack a figure.
    """
    all_results = [read_scores(path) for path in paths]
    for path, results in zip(paths, all_results):
        _check_same(paths[0], all_results[0], path, results)
    tables = [{score.name: score for score in score_items(results["overall"])} for results in all_results]
    columns = [name for name in tables[0] if wanted is None or any(_begins(name, w) for w in wanted)]
    unknown = [w for w in wanted or () if not any(_begins(name, w) for name in tables[0])]
    if unknown:
        raise DataError(f"{paths[0]}: has no figure {unknown[0]!r}; it has {', '.join(tables[0])}")
    for path, table in zip(paths, tables):
        if lost := [name for name in columns if name not in table]:
            raise DataError(f"{path}: has no figure {lost[0]!r}, but {paths[0]} has; choose figures with --figures")
    lines = [[name, *(score_cell(table[column]) for column in columns)] for name, table in zip(names, tables)]
    words = [seen_words(results["data"].get("seen")) for results in all_results]  # what was seen makes figures too good
    lines = [["", SEEN_COLUMN, *columns], *([line[0], word, *line[1:]] for line, word in zip(lines, words))]
    apart = [line for column in columns for line in _differences(column, paths, names, [t[column] for t in tables])]
    heads = ["figure", "of", "above", "difference", "95 % interval"]
    return Comparison(lines, [heads, *apart], list(_notes(paths, all_results)))


def main_scores(table: Sequence[Sequence[str]]) -> list[list[str]]:
    """Return the columns of a table of scores that are in `MAIN`, beside names and `SEEN_COLUMN`; all if none is."""
    kept = [k for k, name in enumerate(table[0]) if _is_main(name)]
    return [[line[k] for k in [0, 1, *kept]] if kept else list(line) for line in table]


def main_differences(table: Sequence[Sequence[str]]) -> list[list[str]]:
    """Return the lines of a table of differences whose figures are in `MAIN`; all lines if none is."""
    kept = [list(line) for line in table[1:] if _is_main(line[0])]
    return [list(table[0]), *(kept or map(list, table[1:]))]


def _differences(
    figure: str, paths: Sequence[Path], names: Sequence[str], scores: Sequence[Score]
) -> Iterator[list[str]]:
    first = scores[0].interval
    for path, name, score in zip(paths[1:], names[1:], scores[1:]):
        if first is None or score.interval is None:
            continue
        try:
            apart = paired_difference(score.interval, first)
        except ValueError as error:
            raise DataError(f"{path}: {figure}: cannot be paired with {paths[0]}: {error}") from None
        yield [figure, name, names[0], f"{apart['value']:+.3f}", told(apart)]


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


def _is_main(name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in MAIN)
