"""Predict expression from embeddings, under one of four protocols; results.json and maps of predicted genes.

original    one gene, ridge regression, random spots of each slide, then one slide from another: the data set's authors'
            figures, of which those of random spots are too good: neighbours are on both sides.
hest        HEST-Benchmark to the letter: (study, patient) groups held out, genes chosen with the test slides in view.
fixed       groups held out, genes and penalty chosen on training slides alone, baselines beside it.
neighbours  as fixed, but a spot has the mean expression of its nearest spots of training slides, after BLEEP.

The 95 % interval is over the groups that are held out, six or more. The noise ceiling is the r that a predictor could
reach which knew each spot's rates: of the genes for which the counts can tell it, r is also given as a share of it.
"""

import argparse
from pathlib import Path

import numpy as np

import stimage
from stimage.cli.evaluation import ELSEWHERE, add_seen
from stimage.cli.options import add_filters, add_splits, positive, root_of, run

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
    parser.add_argument("--embeddings", type=Path, required=True, help="folder or file of embed_spots, or a CSV")
    parser.add_argument("--root", required=True, help="the root that they were made of: counts and coordinates")
    parser.add_argument("--protocol", choices=PROTOCOLS, default="fixed", help="(%(default)s)")
    parser.add_argument("--gene", help="gene of the original protocol (ERBB2)")
    parser.add_argument("--panel", help="file of genes, instead of choosing them (all but original)")
    parser.add_argument("--n", type=positive, default=50, help="genes to choose (%(default)s)")
    parser.add_argument("--split", choices=("slide", "study", "patient"), default="slide",
                        help="what fixed and neighbours hold out (%(default)s)")  # fmt: skip
    parser.add_argument("--folds", type=positive, help="bins of groups; without it, one group is left out at a time")
    parser.add_argument("--test", nargs="+", metavar="SLIDE", help="test these slides at once, and train on all others "
                        "(fixed, neighbours); without it, each group is held out in turn")  # fmt: skip
    parser.add_argument("--train", metavar="SLIDE", help="with --test, of original: predict these slides from this one")
    parser.add_argument("--k", type=positive, help="neighbours whose mean predicts (50)")
    parser.add_argument("--keys", type=Path, metavar="EMBEDDINGS", help="for the same spots in the same space, such as "
                        "of genes: by these are neighbours found; without it, by their own embeddings")  # fmt: skip
    parser.add_argument("--gene-table", metavar="FILE", help="symbols and Ensembl ids, as select_genes takes it")
    parser.add_argument("--no-colour", action="store_true", help="no baseline of colours: images are not read")
    parser.add_argument("--maps", type=int, default=3, help="slides to draw (%(default)s)")
    add_seen(parser)
    add_filters(parser)
    add_splits(parser, parts=True)
    parser.add_argument("--out", type=Path, required=True, help="the folder for results.json and the maps")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
