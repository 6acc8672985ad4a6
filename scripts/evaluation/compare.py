"""Put several results.json side by side: a line each, their overall figures as columns.

Prints, and writes as Markdown and LaTeX, the figures that matter most: macro-F1 of the probe and its baselines; the
three embedding scores; Pearson's r and its baselines; recall@10. comparison.csv has all of them, as --all prints them.
Refuses to mix protocols, configurations, seeds or spots: such figures can't be compared.
"""

import argparse
from pathlib import Path

from stimage import evaluation
from stimage.cli.options import run
from stimage.core.files import write_text

SUFFIX = {"markdown": ".md", "latex": ".tex", "csv": ".csv"}


def main() -> None:
    args = parse_arguments()
    folders = [(path if path.is_dir() else path.parent).resolve().name for path in args.results]
    table, notes = evaluation.compare_results(args.results, args.names or folders, args.figures)
    shown = table if args.all or args.figures else evaluation.main_scores(table)
    for note in notes:
        print(f"note: {note}")
    for form in evaluation.TABLE_FORMATS:
        path = args.out / f"comparison{SUFFIX[form]}"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, evaluation.format_table(table if form == "csv" else shown, form))
    print(evaluation.format_table(shown, "markdown"))
    if len(shown[0]) < len(table[0]):
        print(f"{len(shown[0]) - 1} of {len(table[0]) - 1} figures: --all shows the others too")
    print(f"tables: {args.out}/comparison.md, .tex and .csv")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", nargs="+", type=Path, help="results.json files, or the folders that have them")
    parser.add_argument("--names", nargs="+", help="what to call them; otherwise the folders' names")
    parser.add_argument("--figures", nargs="+", help="names of figures, or how they begin")
    parser.add_argument("--all", action="store_true", help="figures, not the most important alone")
    parser.add_argument("--out", type=Path, default=Path("out/compare"), help="folder to write (%(default)s)")
    args = parser.parse_args()
    if args.names and len(args.names) != len(args.results):
        parser.error(f"{len(args.names)} names for {len(args.results)} results: give one each")
    return args


if __name__ == "__main__":
    run(main)
