"""Retrieval between two embeddings of the same spots, such as of images and of genes: recall@k and median rank.

Each spot's partner is ranked by cosine similarity among the spots of its slide (within), and among all (across), both
ways: a_to_b looks for partners in --other, b_to_a in --embeddings. A tie counts against the model.
"""

import argparse
import time
from pathlib import Path

import numpy as np

from stimage.cli.evaluation import only_slides, slides_of
from stimage.cli.options import add_filters, add_splits, positive, run
from stimage.core.errors import DataError
from stimage.evaluation.embeddings import Embeddings, read_embeddings
from stimage.evaluation.results import data_identity, write_results
from stimage.scores.retrieval import retrieval_scores
from stimage.slides.catalog import ON_MISMATCH, read_catalog

PACKAGES = ("stimage-1k4m", "torch", "numpy")


def main() -> None:
    args, start = parse_arguments(), time.monotonic()
    a, b, left_out, parts = pairs(args)
    slides = {}
    for name in np.unique(a.slides).tolist():
        mine = a.slides == name
        slides[name] = retrieval_scores(a.vectors[mine], b.vectors[mine], ks=args.k)
    within = retrieval_scores(a.vectors, b.vectors, a.slides, args.k)
    overall = {"within": within, "across": retrieval_scores(a.vectors, b.vectors, ks=args.k)}
    data = data_identity(a.spot_ids, embeddings=a, other_model=b.model, left_out=left_out, parts=parts)
    path = write_results(args.out, "retrieval", 1, {"k": args.k, "similarity": "cosine"}, data, [], PACKAGES,
                         time.monotonic() - start, slides, overall)  # fmt: skip
    for name, scores in overall.items():
        ranks = " and ".join(f"{scores[way]['median_rank']:,.1f}" for way in ("a_to_b", "b_to_a"))
        print(f"{name} slides: median rank {ranks} of {scores['candidates']:,.1f}")
    print(f"results: {path}")


def pairs(args: argparse.Namespace) -> tuple[Embeddings, Embeddings, int, dict[str, list[str]]]:
    """Return both embeddings of the wanted slides, row by row of one spot; how many spots only one has; and parts."""
    catalog = read_catalog(args.root)
    slides, parts = slides_of(args, catalog)
    wanted = [slide.name for slide in slides]
    known = [slide.name for slide in catalog.slides]
    a, b = (read_embeddings(path, known) for path in (args.embeddings, args.other))
    a, b = (one.take(np.isin(one.slides, wanted)) for one in (a, b))
    both, of_a, of_b = np.intersect1d(a.spot_ids, b.spot_ids, assume_unique=True, return_indices=True)
    lone = len(a) + len(b) - 2 * len(both)
    if not len(both):
        raise DataError(f"{args.embeddings} and {args.other}: have no spot of the wanted slides in common")
    if lone and args.on_mismatch == "error":
        spot = str(np.setxor1d(a.spot_ids, b.spot_ids)[0])
        raise DataError(f"{lone} spots, such as {spot!r}, have only one of the embeddings; make the other, or pass "
                        "--on-mismatch drop to leave them out")  # fmt: skip
    a, b = a.take(of_a), b.take(of_b)
    return a, b, lone, only_slides(parts, set(a.slides.tolist()))


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
