"""Write the patch of each spot as a PNG named after the spot, all in one folder, as the data set's authors do.

After an interruption, run the same command again: it continues. Count files are not read.
"""

import argparse
from pathlib import Path

from joblib import cpu_count

import stimage
from stimage.cli.options import (
    OUT,
    PROCESSES,
    ROOT,
    add_filters,
    add_reading,
    counted,
    patch_of,
    positive,
    root_of,
    run,
)


def main() -> None:
    args = parse_arguments()
    table = stimage.crop_patches(root_of(args), args.out, patch=patch_of(args), workers=args.workers, progress=None)
    spots, new = table.spots.sum(), table.new.sum()
    print(f"{counted(len(table), 'slide')}, {counted(int(spots), 'image')}, {new:,} of them new: {args.out}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", help=ROOT)
    add_filters(parser)
    add_reading(parser)
    parser.add_argument("--workers", type=positive, default=cpu_count(), help=PROCESSES)
    parser.add_argument("--out", type=Path, default=Path("out/crop"), help=OUT)
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
