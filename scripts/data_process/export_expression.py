"""Write the expression of the most variable genes as tables, a row a spot, by the strategies of the data set's authors.

hvg: a table a slide, SLIDE_count_hvg, of its own most variable genes. overlap-hvg: one table, count_overlap_hvg, of the
most variable of the genes that all slides have. Columns are called after their genes.
"""

import argparse
from pathlib import Path

from joblib import cpu_count

import stimage
from stimage.cli.options import add_filters, add_naming, counted, positive, root_of, run
from stimage.slides.catalog import ON_MISMATCH

STRATEGIES, FORMS = ("hvg", "overlap-hvg"), ("csv", "parquet")


def main() -> None:
    args = parse_arguments()
    written = stimage.export_expression(
        root_of(args), args.out, args.strategy, args.n, stacked=args.stacked, form=args.form,
        allow_normalised=args.allow_normalised, gene_table=args.gene_table, names=args.names,
        workers=args.workers, progress=None,
    )  # fmt: skip
    print(f"{counted(len(written), 'slide')}, {counted(len(set(written.values())), 'table')}: {args.out}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", help="a folder laid out as the data set, or the URL of one")
    parser.add_argument("--strategy", choices=STRATEGIES, default="hvg", help="how genes are chosen (%(default)s)")
    parser.add_argument("--n", type=positive, help="how many genes (128; overlap-hvg 100)")
    parser.add_argument("--stacked", action="store_true", help="for hvg: write the slides' tables one below another as "
                        "count_hvg, too, whose columns are ranks; fine-tuning takes it as data.vectors")  # fmt: skip
    parser.add_argument("--form", choices=FORMS, default="csv", help="form of the tables (%(default)s)")
    parser.add_argument("--allow-normalised", action="store_true", help="take counts that are no whole numbers")
    add_filters(parser)
    add_naming(parser)
    parser.add_argument("--on-mismatch", choices=ON_MISMATCH, default="error",
                        help="spots that the coord and count file do not both have: stop, or leave them out "
                        "(%(default)s)")  # fmt: skip
    parser.add_argument("--workers", type=positive, default=cpu_count(), help="processes, of hvg (%(default)s)")
    parser.add_argument("--out", type=Path, default=Path("out/expression"), help="folder to write (%(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
