"""Score retrieval between two embeddings of the same spots, such as images and genes: recall@k and median rank.

The partner of each spot is ranked by cosine similarity among the spots of its slide (within) and among all spots
(across), in both directions: a_to_b looks for partners in --other, b_to_a in --embeddings. A tie counts against the
model. 95 % intervals of recalls are over slides, or over the groups of --split-by. With a tuned model:

    embed_spots.py ROOT --model RUN/model --space joint --of images genes --out JOINT
    retrieval.py --root ROOT --embeddings JOINT --out OUT
"""

import argparse
from pathlib import Path

import stimage
from stimage.cli.evaluation import add_seen
from stimage.cli.options import add_filters, add_splits, positive, root_of, run
from stimage.slides.catalog import ON_MISMATCH


def main() -> None:
    args = parse_arguments()
    root = root_of(args, ["on_mismatch"])
    found = stimage.retrieve(root, args.embeddings, args.other, args.k, on_mismatch=args.on_mismatch,
                            seen=args.seen, out=args.out)  # fmt: skip
    most = f"recall@{max(args.k)}"
    for note in found.notes:
        print(f"note: {note}")
    for name, scores in found.overall.items():
        recalls, ranks = ([scores[way][key] for way in ("a_to_b", "b_to_a")] for key in (most, "median_rank"))
        print(f"{name} slides: {most} {recalls[0]:.3f} and {recalls[1]:.3f} (chance {scores['chance'][most]:.3f}), "
              f"median rank {ranks[0]:,.1f} and {ranks[1]:,.1f} of {scores['candidates']:,.1f}")  # fmt: skip
        for way in ("a_to_b", "b_to_a"):
            interval = scores[way]["intervals"][most]
            print(f"  {way} {most} {interval['value']:.3f}: {stimage.scores.told(interval)}")
    print(f"results: {found.path}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--embeddings", type=Path, required=True, help="embeddings of one kind, such as images, or a "
                        "folder that has both kinds")  # fmt: skip
    parser.add_argument("--other", type=Path, help="embeddings of the other kind, such as genes, in the same space")
    parser.add_argument("--root", required=True, help="root that the embeddings were made from")
    parser.add_argument("--k", type=positive, nargs="+", default=[1, 5, 10], help="values of k for recall@k (default: "
                        "1 5 10)")  # fmt: skip
    parser.add_argument("--on-mismatch", choices=ON_MISMATCH, default="error", help="what to do with spots that only "
                        "one of the two has: error stops, drop leaves them out (default: %(default)s)")  # fmt: skip
    add_seen(parser)
    add_filters(parser)
    add_splits(parser, parts=True)
    parser.add_argument("--out", type=Path, required=True, help="folder to write results.json into")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
