"""List the image encoders with a short name: width, licence, and what this machine lacks to use each.

stimage towers
stimage towers --out TABLE.csv
"""

import argparse
from pathlib import Path

from stimage import jobs
from stimage.cli.options import run
from stimage.core.files import write_text


def main() -> None:
    args = parse_arguments()
    table = jobs.list_towers()
    for name, row in table.iterrows():
        here = row.missing or ("ready" if row.cached else f"{row.lacks} are downloaded when it is used")
        print(f"{name!s:14} {row.width:5}  {row.licence:20} {'terms to accept' if row.gated else '':16} {here}")
    if args.out:
        write_text(args.out, table.to_csv())
        print(f"table: {args.out}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, metavar="FILE", help="CSV file to write the table to, with sizes, pooling "
                        "and sources (default: none is written)")  # fmt: skip
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
