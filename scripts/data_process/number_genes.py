"""Fix the ids of a root's genes: make its genes.parquet, or add new genes to it. No id ever changes.

Without a genes.parquet, ids follow from all slides of a root, so that they may change when a slide is added. This
command gives each gene the id that it has now, and gives later genes the ids after those. Slides that lack a file are
left out.
"""

import argparse
from pathlib import Path

from stimage.cli.options import ROOT, add_filters, counted, run, selection_of
from stimage.core.access import is_local
from stimage.core.errors import DataError
from stimage.genes.numbering import number_root
from stimage.genes.vocabulary import GENES_FILE
from stimage.slides.catalog import read_catalog


def main() -> None:
    args = parse_arguments()
    catalog = read_catalog(args.root)
    if args.out is None and not is_local(catalog.root):
        raise DataError(
            f"{args.root}: can't be written from here; pass --out {GENES_FILE}, and put that file into the root"
        )
    if args.out and args.out.is_dir():
        raise DataError(f"--out {args.out}: is a folder; name a file in it, such as {args.out / GENES_FILE}")
    slides = selection_of(args, "drop").select_from(catalog)
    out = args.out or Path(catalog.root, GENES_FILE)
    there, added = number_root(catalog, slides, out)
    print(f"{counted(len(slides), 'slide')}: {counted(there, 'gene')} were numbered, {added:,} are added: {out}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", help=ROOT)
    add_filters(parser)
    parser.add_argument("--out", type=Path, metavar="FILE", help=f"{GENES_FILE} to write, for a root that can't be "
                        "written (default: the root's own)")  # fmt: skip
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
