"""Retrieval between two embeddings of the same spots, such as of images and of genes: recall@k and median rank.

Each spot's partner is ranked by cosine similarity among the spots of its slide (within), and among all (across), both
ways: a_to_b looks for partners in --other, b_to_a in --embeddings. A tie counts against the model.
"""

import argparse
from pathlib import Path

import stimage
from stimage.cli.options import add_filters, add_splits, positive, root_of, run
from stimage.slides.catalog import ON_MISMATCH


def main() -> None:
    args = parse_arguments()
    root = root_of(args, ["on_mismatch"])
    found = stimage.retrieve(root, args.embeddings, args.other, args.k, on_mismatch=args.on_mismatch, out=args.out)
    for name, scores in found.overall.items():
        ranks = " and ".join(f"{scores[way]['median_rank']:,.1f}" for way in ("a_to_b", "b_to_a"))
        print(f"{name} slides: median rank {ranks} of {scores['candidates']:,.1f}")
    print(f"results: {found.path}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--embeddings", type=Path, required=True, help="of the one kind (images)")
    parser.add_argument("--other", type=Path, required=True, help="of the other kind (genes), of the same length")
    parser.add_argument("--root", required=True, help="the root that they were made of")
    parser.add_argument("--k", type=positive, nargs="+", default=[1, 5, 10], help="recalls (1 5 10)")
    parser.add_argument("--on-mismatch", choices=ON_MISMATCH, default="error",
                        help="spots that have only one of them: stop, or leave them out (%(default)s)")  # fmt: skip
    add_filters(parser)
    add_splits(parser, parts=True)
    parser.add_argument("--out", type=Path, required=True, help="the folder for results.json")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
