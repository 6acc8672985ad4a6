"""Count the cells of each class in each spot: those whose centre lies within its radius, or, of Visium HD, its square.

Writes SLIDE_cells.csv, a row a spot that lies wholly in the region that was segmented: SPOT, yaxis, xaxis, r, and a
column a class. The slides' cells are those that import_cells.py or detect_cells.py took into the root.
"""

import argparse
from pathlib import Path

import stimage
from stimage.cli.options import add_filters, counted, root_of, run

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
    parser.add_argument("root", help="a folder laid out as the data set, or the URL of one")
    add_filters(parser)
    parser.add_argument("--values", choices=VALUES, default="counts",
                        help="counts, shares of the spot's cells, or cells per mm² (%(default)s)")  # fmt: skip
    parser.add_argument("--out", type=Path, default=Path("out/cells"), help="folder to write (%(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
