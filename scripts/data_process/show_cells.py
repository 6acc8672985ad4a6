"""Draw a slide's cells over its image, by class: a square of it from close by, and the whole slide.

The slide's cells are those that import_cells.py or detect_cells.py took into the root. Pictures have a scale bar and a
legend.
"""

import argparse
from pathlib import Path

import stimage
from stimage.cli.options import positive, root_of, run


def main() -> None:
    args = parse_arguments()
    at = tuple(args.at) if args.at else None
    for path in stimage.show_cells(root_of(args), args.slide, args.out, at=at, um=args.um, px=args.px):
        print(path)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", help="a folder laid out as the data set, or the URL of one")
    parser.add_argument("--slide", required=True, help="the slide's name")
    parser.add_argument("--at", nargs=2, type=float, metavar=("X", "Y"), help="middle of the square in pixels; without "
                        "it, where the most cells are")  # fmt: skip
    parser.add_argument("--um", type=float, default=400, help="side of the square in µm (%(default)s)")
    parser.add_argument("--px", type=positive, default=4000, help="longer side of the whole slide (%(default)s)")
    parser.add_argument("--out", type=Path, default=Path("out/cells"), help="folder to write (%(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
