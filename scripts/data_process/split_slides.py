"""Deal slides into train, validation and test, as near to the fractions as groups allow, and write a table of it.

Whole slides, studies or patients are dealt; studies that share a slide are one. Each split gets at least one. Put the
table into the root as splits.csv, or name it (--splits, splits=): it then says which slide is where.

An older table is only added to: with --add-to OLD, or where --out is there already, its slides stay where they are, and
new ones follow their group.
"""

import argparse
import csv
from pathlib import Path

from stimage.arguments import add_dealing, add_filters, run, selection_of, splitting_of
from stimage.errors import DataError
from stimage.files import replacing
from stimage.processing.dealing import deal_slides
from stimage.processing.split_table import SplitTable, read_splits
from stimage.processing.splits import Placed, report
from stimage.slides import read_catalog
from stimage.slides.names import fold


def main() -> None:
    args = parse_arguments()
    catalog, selection, splitting = read_catalog(args.root), selection_of(args), splitting_of(args)
    older = older_table(args)
    names = {slide.name for slide in selection.of(catalog)}
    slides = [slide for slide in catalog.slides if slide.name in names or fold(slide.name) in older.splits]
    placed = deal_slides(slides, splitting, older.splits)
    write(args.out, older, list(placed.values()))
    print(report(placed.values(), {slide.name: slide.about_spots for slide in slides}))
    print(f"{sum(fold(name) not in older.splits for name in placed)} slides were dealt, {len(older.splits)} were there "
          f"already: {args.out}")  # fmt: skip


def older_table(args: argparse.Namespace) -> SplitTable:
    """Return the table that is added to; without one, an empty one."""
    if args.add_to and args.out.exists() and not args.out.samefile(args.add_to):
        raise DataError(f"{args.out}: is there already; leave out --add-to to add to it, or name another --out")
    older = args.add_to or (args.out if args.out.exists() else None)
    return read_splits(older) if older else SplitTable("", {}, {}, {})


def write(out: Path, older: SplitTable, placed: list[Placed]) -> None:
    """Write the rows that were there, then the new ones."""
    rows = [(older.names[name], split, older.groups[name]) for name, split in older.splits.items()]
    rows += [(one.slide.name, one.split, one.group) for one in placed if fold(one.slide.name) not in older.splits]
    with replacing(out) as unfinished, unfinished.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([("slide", "split", "group"), *rows])


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", help="a folder laid out as the data set, or the URL of one")
    add_filters(parser)
    add_dealing(parser, default="slide")
    parser.add_argument("--add-to", type=Path, metavar="OLD", help="the table whose slides stay where they are")
    parser.add_argument("--out", type=Path, required=True, help="the table to write, with slide, split and group")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
