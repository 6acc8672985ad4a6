"""Choose genes and write them as a panel file, which the builder, training and evaluation take as panel=.

The file lists the genes in order, and says how they were chosen: method, slides, parameters, versions and a digest.
"""

import argparse
from pathlib import Path

import stimage
from stimage.cli.options import ROOT, add_filters, add_naming, add_splits, counted, positive, root_of, run
from stimage.genes.choosing import DEFAULT_N
from stimage.genes.panels import PANEL_SUFFIXES


def main() -> None:
    args = parse_arguments()
    panel = stimage.select_genes(
        root_of(args), args.method, args.n, genes=args.genes, held_out=args.held_out, gene_table=args.gene_table,
        names=args.names, allow_normalised=args.allow_normalised, out=args.out, progress=None,
    )  # fmt: skip
    print(f"{counted(len(panel.genes), 'gene')}: {args.out}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", help=ROOT)
    parser.add_argument("--method", choices=(*DEFAULT_N, "list"), required=True, help="way to choose genes: hvg from "
                        "one slide; hvg-union or hvg-consensus from each slide; overlap-hvg from all spots, as the "
                        "data set's authors do; hest as HEST-Benchmark does; list takes the file --genes")  # fmt: skip
    parser.add_argument("--n", type=positive, help="number of genes (default: 128; overlap-hvg 100; hest 50)")
    parser.add_argument("--genes", type=Path, help="file of gene names, for --method list")
    parser.add_argument("--allow-normalised", action="store_true", help="accept counts that are not whole numbers")
    add_filters(parser)
    parser.add_argument("--held-out", nargs="+", metavar="SLIDE", help="slides to test on, in addition to those of the "
                        "splits validation and test: they must have the genes, but their counts are not "
                        "read")  # fmt: skip
    add_splits(parser)
    add_naming(parser)
    parser.add_argument("--out", type=Path, required=True, help="panel file to write: .json or .yaml")
    args = parser.parse_args()
    if (args.method == "list") != (args.genes is not None):
        parser.error("--method list and --genes go together")
    if args.out.suffix not in PANEL_SUFFIXES:
        parser.error(f"--out {args.out}: a panel file ends in {', '.join(PANEL_SUFFIXES)}")
    return args


if __name__ == "__main__":
    run(main)
