"""Put several results.json side by side: a line each, their overall figures as columns.

Refuses to mix protocols, configurations, seeds or spots: such figures can't be compared.
"""

import argparse
from pathlib import Path

from stimage.arguments import run
from stimage.evaluation.results import read_results
from stimage.evaluation.tables import FORMATS, compare, render

SUFFIX = {"markdown": ".md", "latex": ".tex", "csv": ".csv"}


def main() -> None:
    args = parse_arguments()
    names = args.names or [name_of(path) for path in args.results]
    table, notes = compare(args.results, names, args.figures)
    for note in notes:
        print(f"note: {note}")
    for form in FORMATS:
        path = args.out / f"comparison{SUFFIX[form]}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(render(table, form), encoding="utf-8")
    print(render(table, "markdown"))
    print(f"tables: {args.out}/comparison.md, .tex and .csv")


def name_of(path: Path) -> str:
    """Name results by their model, or by their folder where they don't name one."""
    return read_results(path)["data"].get("model") or (path if path.is_dir() else path.parent).resolve().name


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", nargs="+", type=Path, help="results.json files, or the folders that have them")
    parser.add_argument("--names", nargs="+", help="what to call them; else by the model, or the folder")
    parser.add_argument("--figures", nargs="+", help="names of figures, or how they begin; else all")
    parser.add_argument("--out", type=Path, default=Path("out/compare"), help="folder to write (%(default)s)")
    args = parser.parse_args()
    if args.names and len(args.names) != len(args.results):
        parser.error(f"{len(args.names)} names for {len(args.results)} results: give one each")
    return args


if __name__ == "__main__":
    run(main)
