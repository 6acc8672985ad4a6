"""Show how a table of symbols and Ensembl ids renames the genes of each slide: mapped, kept, merged or lost.

select_genes.py and export_slides.py take the same table as --gene-table, the builder as gene_table=.
"""

import argparse
from pathlib import Path

from stimage.cli.options import ROOT, add_filters, add_naming, counted, run, selection_of
from stimage.core.files import write_text
from stimage.core.storage import local_copy
from stimage.core.tables import csv_text
from stimage.genes.names import Naming
from stimage.slides.catalog import read_catalog
from stimage.slides.counts.count_file import read_genes
from stimage.slides.missing import need_counts


def main() -> None:
    args = parse_arguments()
    slides = selection_of(args).select_from(read_catalog(args.root))
    need_counts(slides, "naming genes")
    rows = [("slide", "gene", "name", "fate")]
    for slide in slides:
        genes = read_genes(local_copy(slide.counts, slide.access))
        mapping = Naming(args.gene_table, args.names).rename(genes, slide.species, slide.counts)
        rows += ((slide.name, *row) for row in mapping.rows(genes))
        print(f"{slide.name}: {mapping.report()}")
    write_text(args.out, csv_text(rows))
    print(f"{counted(len(slides), 'slide')}: {args.out}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", help=ROOT)
    add_filters(parser)
    add_naming(parser, required=True)
    parser.add_argument("--out", type=Path, default=Path("out/gene_names.csv"), help="table to write, with one row per "
                        "gene (default: %(default)s)")  # fmt: skip
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
