"""Tell what a table of symbols and Ensembl ids makes of each slide's gene names: mapped, kept, merged, lost.

select_genes.py, export_slides.py and the builder take the same table as --gene-table and gene_table=.
"""

import argparse
from pathlib import Path

from stimage.cli.options import add_filters, add_naming, counted, run, selection_of
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
    parser.add_argument("root", help="a folder laid out as the data set, or the URL of one")
    add_filters(parser)
    add_naming(parser, required=True)
    parser.add_argument("--out", type=Path, default=Path("out/gene_names.csv"), help="a row a gene (%(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
