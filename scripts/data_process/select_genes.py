"""Choose genes and write them as a panel file, which the builder, training and evaluation take as panel=.

The file names the genes in order and says how they were chosen: method, slides, parameters, versions, and a digest.
"""

import argparse
from pathlib import Path

import stimage
from stimage.cli.options import add_filters, add_naming, add_splits, counted, positive, root_of, run
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
    parser.add_argument("root", help="a folder laid out as the data set, or the URL of one")
    parser.add_argument("--method", choices=(*DEFAULT_N, "list"), required=True,
                        help="hvg: of one slide; hvg-union, hvg-consensus: of each; overlap-hvg: of all spots, "
                        "as the data set's authors; hest: as HEST-Benchmark; list: your own, with --genes")  # fmt: skip
    parser.add_argument("--n", type=positive, help="how many (128; overlap-hvg 100; hest 50)")
    parser.add_argument("--genes", type=Path, help="file of names, for the method list")
    parser.add_argument("--allow-normalised", action="store_true", help="take counts that are no whole numbers")
    add_filters(parser)
    parser.add_argument("--held-out", nargs="+", metavar="SLIDE",
                        help="slides to test on, beside those of the splits validation and test: they must have the "
                        "genes, but their counts are not read")  # fmt: skip
    add_splits(parser)
    add_naming(parser)
    parser.add_argument("--out", type=Path, required=True, help="the panel file to write: JSON, or .yaml")
    args = parser.parse_args()
    if (args.method == "list") != (args.genes is not None):
        parser.error("--method list and --genes go together")
    if args.out.suffix not in PANEL_SUFFIXES:
        parser.error(f"--out {args.out}: a panel file ends in {', '.join(PANEL_SUFFIXES)}")
    return args


if __name__ == "__main__":
    run(main)
