"""Compare the shares of cells by class with the proportions of a deconvolution, such as RCTD or cell2location.

The file cells_agreement.csv has one row per slide and class: the number of spots that have both values, Pearson's r,
the root of the mean squared error, and both means. Each slide gets a figure. The slides need cells: see
import_cells.py.
"""

import argparse
from pathlib import Path

import stimage
from stimage.cli.options import OUT, ROOT, add_filters, root_of, run


def main() -> None:
    args = parse_arguments()
    table = stimage.compare_cells(root_of(args), args.proportions, args.types, args.out)
    print(table.to_string(index=False, float_format=lambda one: f"{one:.3f}"))
    print(f"table: {args.out / 'cells_agreement.csv'}")
    for name in table.slide.unique():
        print(f"figure: {args.out / name}_agreement.png")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", help=ROOT)
    add_filters(parser)
    parser.add_argument("--proportions", type=Path, required=True, help="CSV with the spot ids in the first column, "
                        "and one column per cell type")  # fmt: skip
    parser.add_argument("--types", type=Path, required=True, help="CSV with the columns source (a cell type of the "
                        "proportions) and class (a class of the cells)")  # fmt: skip
    parser.add_argument("--out", type=Path, default=Path("out/cells"), help=OUT)
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
