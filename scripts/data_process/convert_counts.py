"""Write slides' counts as sparse HDF5, which has no zeros, or as the wide CSV of the data set, in place.

Either form gives the same examples. What is killed leaves each slide with its old file or with its new one.
"""

import argparse

import stimage
from stimage.cli.options import add_filters, counted, root_of, run
from stimage.slides.counts.converting import WRITERS


def main() -> None:
    args = parse_arguments()
    done = []
    for one in stimage.convert_counts(root_of(args), args.to):
        print(f"{one.slide}: {one.before:,} → {one.after:,} bytes")
        done.append(one)
    before, after = (sum(getattr(one, name) for one in done) for name in ("before", "after"))
    print(f"{counted(len(done), 'slide')} as {args.to}: {before / 1e6:,.1f} → {after / 1e6:,.1f} MB")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", help="a folder laid out as the data set")
    parser.add_argument("--to", choices=tuple(WRITERS), default="h5", help="form of the counts (%(default)s)")
    add_filters(parser)
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
