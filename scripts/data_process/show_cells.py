"""Draw the cells of a slide over its image, coloured by class: a square from close by, and the whole slide.

The slide needs cells: see import_cells.py and detect_cells.py. The pictures have a scale bar and a legend.
"""

import argparse
from pathlib import Path

import stimage
from stimage.cli.options import OUT, ROOT, positive, root_of, run


def main() -> None:
    args = parse_arguments()
    at = tuple(args.at) if args.at else None
    for path in stimage.show_cells(root_of(args), args.slide, args.out, at=at, um=args.um, px=args.px):
        print(path)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", help=ROOT)
    parser.add_argument("--slide", required=True, help="name of the slide")
    parser.add_argument("--at", nargs=2, type=float, metavar=("X", "Y"), help="centre of the square in pixels of the "
                        "image (default: where most cells are)")  # fmt: skip
    parser.add_argument("--um", type=float, default=400, help="side of the square in µm (default: %(default)s)")
    parser.add_argument("--px", type=positive, default=4000, help="longer side of the picture of the whole slide in "
                        "pixels (default: %(default)s)")  # fmt: skip
    parser.add_argument("--out", type=Path, default=Path("out/cells"), help=OUT)
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
