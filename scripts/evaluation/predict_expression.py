"""Predict expression from embeddings by one of four protocols; write results.json and maps of predicted genes.

original    one gene, by ridge regression: first random spots of each slide, then one slide from another. These are the
            figures of the data set's authors. Those of random spots are too good, as neighbours are on both sides.
hest        HEST-Benchmark's protocol exactly: groups of study and patient are held out, and genes are chosen with the
            test slides in view.
fixed       groups are held out, genes and penalty are chosen on training slides alone, and baselines are added.
neighbours  as fixed, but a spot gets the mean expression of its nearest spots in training slides, after BLEEP.

The 95 % interval is over the groups that are held out, at least six. The noise ceiling is the r of a perfect predictor,
which knows the true rate of each spot. For genes whose counts allow an estimate, r is also given as a share of it.
"""

import argparse
from pathlib import Path

import numpy as np

import stimage
from stimage.cli.evaluation import ELSEWHERE, add_seen
from stimage.cli.options import NO_COLOUR, add_filters, add_splits, positive, root_of, run

PROTOCOLS = ("original", "hest", "fixed", "neighbours")


def main() -> None:
    args = parse_arguments()
    elsewhere = ["patients", "no_study"] if args.protocol == "hest" else ELSEWHERE.get(args.split, [])
    found = stimage.predict(
        root_of(args, elsewhere), args.embeddings, args.protocol, args.split, gene=args.gene, panel=args.panel,
        n=args.n, folds=args.folds, test=args.test, train=args.train, k=args.k, keys=args.keys,
        gene_table=args.gene_table,
        patients=args.patients, no_study=args.no_study, colour=not args.no_colour, maps=args.maps,
        seen=args.seen, out=args.out,
    )  # fmt: skip
    for note in found.notes:
        print(note if note.startswith(("map: ", "table: ")) else f"note: {note}")
    overall = found.overall
    baselines, above = (overall.get("per_slide", overall).get(key, {}) for key in ("baselines", "above"))
    beside = [f"{name.replace('_', ' ')} {scores['pearson']['mean']:.3f}" for name, scores in baselines.items()]
    beside = f" (baselines: {', '.join(beside)})" if beside else ""
    print(f"Pearson's r {overall['pearson']['mean']:.3f}{beside}: {found.path}")
    print(f"95 % interval: {stimage.scores.told(overall['intervals']['pearson'])}")
    for name, interval in above.get("intervals", {}).items():
        print(f"above {name.replace('_', ' ')} by {interval['value']:.3f}: {stimage.scores.told(interval)}")
    for one in overall.get("transfer", ()):
        print(f"{one['tested_on']} from {one['trained_on']}: Pearson's r {one['pearson']:.3f}, mean squared error "
              f"{one['mse']:.3f}, alpha {one['alpha']:g}")  # fmt: skip
    share = overall["of_ceiling"]["mean"]
    print("noise ceiling: not known of any gene" if np.isnan(share) else f"of the noise ceiling: {share:.0%}")
    print(f"predictions and regressors are beside; stimage verify {args.out} computes all figures again")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--embeddings", type=Path, required=True, help="embeddings to predict from: a folder or file "
                        "that embed_spots.py wrote, or a CSV")  # fmt: skip
    parser.add_argument("--root", required=True, help="root that the embeddings were made from: its counts and "
                        "coordinates are read")  # fmt: skip
    parser.add_argument("--protocol", choices=PROTOCOLS, default="fixed", help="protocol of the prediction (default: "
                        "%(default)s)")  # fmt: skip
    parser.add_argument("--gene", help="protocol original only: gene to predict (default: ERBB2)")
    parser.add_argument("--panel", help="file of genes to predict, for all protocols but original (default: the genes "
                        "that the protocol chooses)")  # fmt: skip
    parser.add_argument("--n", type=positive, default=50, help="number of genes that the protocol chooses (default: "
                        "%(default)s)")  # fmt: skip
    parser.add_argument("--split", choices=("slide", "study", "patient"), default="slide",
                        help="groups that the protocols fixed and neighbours hold out (default: "
                        "%(default)s)")  # fmt: skip
    parser.add_argument("--folds", type=positive, help="number of folds that the groups are dealt into (default: one "
                        "fold per group)")  # fmt: skip
    parser.add_argument("--test", nargs="+", metavar="SLIDE", help="slides to test on: the protocols fixed and "
                        "neighbours train on all others, and original on the slide of --train (default: each group is "
                        "held out in turn)")  # fmt: skip
    parser.add_argument("--train", metavar="SLIDE", help="protocol original with --test only: the slide to train on")
    parser.add_argument("--k", type=positive, help="protocol neighbours only: number of neighbours to take the mean of "
                        "(default: 50)")  # fmt: skip
    parser.add_argument("--keys", type=Path, metavar="EMBEDDINGS", help="protocol neighbours only: embeddings of the "
                        "same spots in the same space, such as of genes, by which neighbours are found (default: "
                        "--embeddings)")  # fmt: skip
    parser.add_argument("--gene-table", metavar="FILE", help="table of symbols and Ensembl ids, as select_genes.py "
                        "takes it")  # fmt: skip
    parser.add_argument("--no-colour", action="store_true", help=NO_COLOUR)
    parser.add_argument("--maps", type=int, default=3, help="number of slides to draw maps of (default: %(default)s)")
    add_seen(parser)
    add_filters(parser)
    add_splits(parser, parts=True)
    parser.add_argument("--out", type=Path, required=True, help="folder to write results.json and the maps into")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
