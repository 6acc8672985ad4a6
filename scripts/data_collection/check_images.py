"""Draw each slide's spots as squares over its image, cropped to the spots: a PNG a slide, to check by eye.

The same command goes on where an earlier one was interrupted. check_spots.py finds what is wrong, and has a page.
"""

import argparse
from pathlib import Path

from joblib import cpu_count

import stimage
from stimage.cli.options import add_filters, add_image_limit, counted, positive, root_of, run


def main() -> None:
    args = parse_arguments()
    pictures = stimage.check_images(root_of(args), args.out, workers=args.workers, progress=None)
    print(f"{counted(len(pictures), 'picture')}: {args.out}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", help="a folder laid out as the data set, or the URL of one")
    add_filters(parser)
    add_image_limit(parser)
    parser.add_argument("--workers", type=positive, default=cpu_count(), help="processes (%(default)s)")
    parser.add_argument("--out", type=Path, default=Path("out/check_images"), help="folder to write (%(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
