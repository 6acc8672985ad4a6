"""Divide slides into train, validation and test, as near to the fractions as groups allow, and write the table.

Whole slides, studies or patients go into a split; studies that share a slide count as one. Each split gets at least one
group. Put the table into the root as splits.csv, or name it by --splits or splits=. It then rules which slide is where.

An older table is only added to: the table of --add-to, or the one that --out already names. Its slides stay where they
are, and new slides follow their group.
"""

import argparse
from pathlib import Path

from stimage import loading
from stimage.cli.options import add_dealing, add_filters, run, selection_of, splitting_of
from stimage.core.errors import DataError
from stimage.core.files import write_text
from stimage.core.tables import csv_text
from stimage.slides.catalog import ON_MISMATCH
from stimage.slides.names import fold_name
from stimage.slides.splits.dealing import deal_slides
from stimage.slides.splits.splitting import SlideSplit, split_report
from stimage.slides.splits.table import SplitTable, read_splits


def main() -> None:
    args = parse_arguments()
    catalog, splitting = loading.open_source(args.root).catalog, splitting_of(args)
    selection = selection_of(args, args.on_mismatch)
    older = older_table(args)
    names = {slide.name for slide in selection.select_from(catalog)}
    slides = [slide for slide in catalog.slides if slide.name in names or fold_name(slide.name) in older.splits]
    placed = deal_slides(slides, splitting, older.splits)
    write(args.out, older, list(placed.values()))
    print(split_report(placed.values(), {slide.name: slide.about_spots for slide in slides}))
    dealt = sum(fold_name(name) not in older.splits for name in placed)
    print(f"{dealt} slides were dealt, {len(older.splits)} were there "
          f"already: {args.out}")  # fmt: skip


def older_table(args: argparse.Namespace) -> SplitTable:
    """Return the table that slides are added to, or an empty table."""
    there = args.out.exists()
    older = args.add_to or (args.out if there else None)
    if older is None:
        return SplitTable("", {}, {}, {})
    table = read_splits(older)
    if args.add_to and there and not (Path(args.add_to).exists() and args.out.samefile(args.add_to)):
        raise DataError(f"{args.out}: is there already; leave out --add-to to add to it, or name another --out")
    return table


def write(out: Path, older: SplitTable, placed: list[SlideSplit]) -> None:
    """Write the older rows, then the new rows."""
    rows = [(older.names[name], split, older.groups[name]) for name, split in older.splits.items()]
    rows += [(one.slide.name, one.split, one.group) for one in placed if fold_name(one.slide.name) not in older.splits]
    write_text(out, csv_text([("slide", "split", "group"), *rows]))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", help="root or published folder: a folder laid out as the data set, a folder that "
                        "build_shards.py wrote, or the URL of one")  # fmt: skip
    add_filters(parser)
    parser.add_argument("--on-mismatch", choices=ON_MISMATCH, default="error", help="what to do with slides that lack "
                        "a file or a row of the meta file: error stops, drop leaves them out (default: "
                        "%(default)s)")  # fmt: skip
    add_dealing(parser, default="slide")
    parser.add_argument("--add-to", metavar="OLD", help="older table, a file or a URL, whose slides stay where they "
                        "are (default: the table at --out, if there is one)")  # fmt: skip
    parser.add_argument("--out", type=Path, required=True, help="table to write, with the columns slide, split and "
                        "group")  # fmt: skip
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
