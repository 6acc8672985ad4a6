"""Compare several results.json in one table, one row each, with paired differences between them.

The most important figures are printed, and written as Markdown and LaTeX: macro-F1 of the probe and its baselines; the
three embedding scores; Pearson's r and its baselines; recall@10. The file comparison.csv has all figures, and --all
prints them. The intervals in brackets, of 95 %, are over the groups that were held out, at least six.

differences has each later result minus the first, group by group, so that a group that is hard for both cancels out.
Where its interval includes 0, neither result is shown to be better.

--original also writes the table of the data set's authors, tab-separated, with their names and columns:
linear_probing_result.csv from linear_probe.py --protocol original --split random, and silhouette_score.csv from
embedding_scores.py.

Results of different protocols, configurations, seeds or spots can't be compared, and are refused.
"""

import argparse
from pathlib import Path

from stimage import evaluation
from stimage.cli.options import OUT, run
from stimage.core.errors import DataError
from stimage.core.files import write_text

SUFFIX = {"markdown": ".md", "latex": ".tex", "csv": ".csv"}


def main() -> None:
    args = parse_arguments()
    folders = [(path if path.is_dir() else path.parent).resolve().name for path in args.results]
    names = args.names or folders
    found = evaluation.compare_results(args.results, names, args.figures)
    original = evaluation.original_tables(read_all(args.results, names)) if args.original else {}
    every = args.all or args.figures
    shown = found.scores if every else evaluation.main_scores(found.scores)
    apart = found.differences if every else evaluation.main_differences(found.differences)
    for note in found.notes:
        print(f"note: {note}")
    for form in evaluation.TABLE_FORMATS:
        write(args.out / f"comparison{SUFFIX[form]}", found.scores if form == "csv" else shown, form)
        write(args.out / f"differences{SUFFIX[form]}", found.differences if form == "csv" else apart, form)
    for name, text in original.items():
        write_text(args.out / name, text)
    print(evaluation.format_table(shown, "markdown"))
    if len(apart) > 1:
        print(evaluation.format_table(apart, "markdown"))
    if len(shown[0]) < len(found.scores[0]):
        print(f"{len(shown[0]) - 2} of {len(found.scores[0]) - 2} figures: --all shows the others too")
    print(
        f"tables: {args.out}/comparison.md, .tex and .csv, and {' and '.join(['differences', *original])} beside them"
    )


def read_all(paths: list[Path], names: list[str]) -> dict[str, dict]:
    """Return the results by name; no two may be called alike."""
    if len(set(names)) < len(names):
        raise DataError(f"{len(paths)} models have the names {', '.join(names)}; pass --names, one each")
    return dict(zip(names, map(evaluation.read_scores, paths)))


def write(path: Path, table: list[list[str]], form: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, evaluation.format_table(table, form))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", nargs="+", type=Path, help="results.json files, or the folders that have them")
    parser.add_argument("--names", nargs="+", help="names of the results in the table (default: the names of their "
                        "folders)")  # fmt: skip
    parser.add_argument("--figures", nargs="+", help="figures to show, by name or by the beginning of their names "
                        "(default: the most important ones)")  # fmt: skip
    parser.add_argument("--all", action="store_true", help="show all figures, and not only the most important ones")
    parser.add_argument("--original", action="store_true", help="write the table of the data set's authors, too")
    parser.add_argument("--out", type=Path, default=Path("out/compare"), help=OUT)
    args = parser.parse_args()
    if args.names and len(args.names) != len(args.results):
        parser.error(f"{len(args.names)} names for {len(args.results)} results: give one each")
    return args


if __name__ == "__main__":
    run(main)
