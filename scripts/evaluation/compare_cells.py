"""Hold shares of cells by class against proportions of a deconvolution, such as RCTD's or cell2location's.

Writes cells_agreement.csv: by slide and class, how many spots have both, Pearson's r, the root of the mean squared
error, and both means; and a figure a slide. The slides' cells are those that import_cells.py took into the root.
"""

import argparse
from pathlib import Path

import stimage
from stimage.cli.options import add_filters, root_of, run


def main() -> None:
    args = parse_arguments()
    table = stimage.compare_cells(root_of(args), args.proportions, args.types, args.out)
    print(table.to_string(index=False, float_format=lambda one: f"{one:.3f}"))
    print(f"table: {args.out / 'cells_agreement.csv'}")
    for name in table.slide.unique():
        print(f"figure: {args.out / name}_agreement.png")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", help="a folder laid out as the data set, or the URL of one")
    add_filters(parser)
    parser.add_argument("--proportions", type=Path, required=True, help="CSV: spot ids first, then a column a type")
    parser.add_argument("--types", type=Path, required=True, help="CSV with the columns source, a type, and class")
    parser.add_argument("--out", type=Path, default=Path("out/cells"), help="folder to write (%(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
