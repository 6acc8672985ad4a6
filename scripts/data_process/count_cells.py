"""Count the cells of each class in each spot of the slides, by the centres of the cells.

A cell belongs to a spot if its centre lies within the spot's radius, or within the square of a Visium HD bin. The file
SLIDE_cells.csv has one row for each spot that lies wholly in the segmented region: SPOT, yaxis, xaxis, r, and one
column per class. The slides need cells: see import_cells.py and detect_cells.py.
"""

import argparse
from pathlib import Path

import stimage
from stimage.cli.options import OUT, ROOT, add_filters, counted, root_of, run

VALUES = ("counts", "shares", "density")


def main() -> None:
    args = parse_arguments()
    table = stimage.count_cells(root_of(args), args.out, values=args.values)
    for name, own in table.groupby("slide", sort=False):
        classes = own.iloc[:, 4:]
        told = "median of " if args.values != "counts" else ""
        numbers = classes.median() if told else classes.sum()
        print(f"{name}: {counted(len(own), 'spot')}; {told}{', '.join(f'{k} {v:,.4g}' for k, v in numbers.items())}")
    print(f"tables: {args.out}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", help=ROOT)
    add_filters(parser)
    parser.add_argument("--values", choices=VALUES, default="counts", help="values to write: numbers of cells, shares "
                        "of the spot's cells, or cells per mm² (default: %(default)s)")  # fmt: skip
    parser.add_argument("--out", type=Path, default=Path("out/cells"), help=OUT)
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
