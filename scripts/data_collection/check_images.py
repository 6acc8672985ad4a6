"""Draw the spots of each slide as squares over its image, cropped to the spots: one PNG per slide, to check by eye.

After an interruption, run the same command again: it continues. check_spots.py finds faults by itself.
"""

import argparse
from pathlib import Path

from joblib import cpu_count

import stimage
from stimage.cli.options import OUT, PROCESSES, ROOT, add_filters, add_image_limit, counted, positive, root_of, run


def main() -> None:
    args = parse_arguments()
    pictures = stimage.check_images(root_of(args), args.out, workers=args.workers, progress=None)
    print(f"{counted(len(pictures), 'picture')}: {args.out}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", help=ROOT)
    add_filters(parser)
    add_image_limit(parser)
    parser.add_argument("--workers", type=positive, default=cpu_count(), help=PROCESSES)
    parser.add_argument("--out", type=Path, default=Path("out/check_images"), help=OUT)
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
