"""Rewrite the counts of slides in place: as sparse HDF5, without zeros, or as the wide CSV of the data set.

Both forms give the same examples. If the command is killed, each slide has either its old file or its new one.
"""

import argparse

import stimage
from stimage.cli.options import LOCAL_ROOT, add_filters, counted, root_of, run
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
    parser.add_argument("root", help=LOCAL_ROOT)
    parser.add_argument("--to", choices=tuple(WRITERS), default="h5", help="form of the counts: h5 is sparse HDF5, csv "
                        "the wide CSV of the data set (default: %(default)s)")  # fmt: skip
    add_filters(parser)
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
