"""Write the expression of the most variable genes as tables, one row per spot, as the data set's authors do.

The strategy hvg writes one table per slide, SLIDE_count_hvg, of the most variable genes of that slide. overlap-hvg
writes one table, count_overlap_hvg, of the most variable genes among those that all slides have. Columns are named
after their genes.
"""

import argparse
from pathlib import Path

from joblib import cpu_count

import stimage
from stimage.cli.options import OUT, ROOT, add_filters, add_naming, counted, positive, root_of, run
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
    parser.add_argument("root", help=ROOT)
    parser.add_argument("--strategy", choices=STRATEGIES, default="hvg", help="way to choose genes: hvg for each "
                        "slide, overlap-hvg for all slides together (default: %(default)s)")  # fmt: skip
    parser.add_argument("--n", type=positive, help="number of genes (default: 128; overlap-hvg 100)")
    parser.add_argument("--stacked", action="store_true", help="hvg only: also write count_hvg, the tables of all "
                        "slides one below another; its columns are ranks, and fine-tuning takes it as "
                        "data.vectors")  # fmt: skip
    parser.add_argument("--form", choices=FORMS, default="csv", help="format of the tables (default: %(default)s)")
    parser.add_argument("--allow-normalised", action="store_true", help="accept counts that are not whole numbers")
    add_filters(parser)
    add_naming(parser)
    parser.add_argument("--on-mismatch", choices=ON_MISMATCH, default="error", help="what to do with spots that only "
                        "one of the coord file and the count file has: error stops, drop leaves them out (default: "
                        "%(default)s)")  # fmt: skip
    parser.add_argument("--workers", type=positive, default=cpu_count(), help="number of processes for hvg (default: "
                        "%(default)s)")  # fmt: skip
    parser.add_argument("--out", type=Path, default=Path("out/expression"), help=OUT)
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
