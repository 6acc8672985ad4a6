"""Score embeddings by the pathologists' labels: silhouette, Calinski-Harabasz, Davies-Bouldin, clusters, mixing.

Each slide is scored by itself, and all spots are scored together (pooled). batch_mixing says how well slides mix within
labels, from 0 (apart) to 1. ARI is 0 by chance and at most 1, NMI lies between 0 and 1; for both, high is good.
Distances are Euclidean, between the vectors as they are, as the data set's authors do, or at unit norm. Up to 50,000
spots are scored exactly. Beyond that, a seeded sample of the spots is scored, and results.json says so. Spots without a
label, or with the label "undetermined" or "Exclude", are left out.

As baselines, the spots of each slide are also scored by their positions alone, and by the colours of their patches. The
results are results.json and results.csv.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

import numpy as np
from tqdm import tqdm

from stimage import evaluation, jobs, scores
from stimage.cli.evaluation import add_labelled, labelled_of
from stimage.cli.options import NO_COLOUR, positive, run
from stimage.core.errors import DataError
from stimage.scores.folds import MAX_SPOTS

VERSION = 1
PACKAGES = ("stimage-1k4m", "scikit-learn", "torch", "igraph", "numpy")
SHOWN = ("silhouette", "calinski_harabasz", "davies_bouldin", "kmeans.ari", "leiden.ari")


def main() -> None:
    args = parse_arguments()
    began = time.perf_counter()
    spots, of_slides = labelled_of(args)
    beside = {"position": evaluation.positions(spots, 0)[:, :2]}
    beside |= {} if args.no_colour else {"colour": evaluation.colour_statistics(spots)}
    by_slide, overall = score(spots, args.norm, args.most, beside)
    config = {"norm": args.norm, "most": args.most, "neighbours": scores.NEIGHBOURS}
    data = evaluation.data_identity(spots.embeddings.spot_ids, spots.labels, embeddings=spots.embeddings,
                                    left_out=spots.left_out, **of_slides)  # fmt: skip
    path = evaluation.write_scores(args.out, "embedding_scores", VERSION, config, data, [scores.SEED], PACKAGES,
                                    time.perf_counter() - began, by_slide, overall)  # fmt: skip
    jobs.sealed(path)
    print(table({**by_slide, "pooled": overall["pooled"]}))
    for name, interval in overall["over_slides"].get("intervals", {}).items():
        print(f"mean {name} over slides {interval['value']:.4f}, 95 % interval: {scores.told(interval)}")
    for name, found in overall["over_slides"].get("baselines", {}).items():
        print(f"{name} alone, mean over slides: " + ", ".join(f"{one} {found[one]['mean']:.4f}" for one in SHOWN))
    print(f"batch mixing {overall['batch_mixing']:.3f}; results: {path}, and {path.with_suffix('.csv').name} beside it")


def score(
    spots: evaluation.LabelledSpots, norm: str, most: int, beside: dict[str, np.ndarray]
) -> tuple[dict[str, dict], dict]:
    """Return scores by slide, and of all: pooled, mean and standard deviation over slides, and mixing.

    ``beside`` has the vectors of each baseline (n x d), which are scored slide by slide as they are.
    """
    x = scores.l2_normalise(spots.embeddings.vectors) if norm == "unit" else spots.embeddings.vectors
    of_slide, by_slide = spots.embeddings.slides, {}
    pooled = scores.embedding_scores(x, spots.labels, most)
    for slide in tqdm(spots.slides, unit="slide", disable=None):
        mine = of_slide == slide
        try:
            by_slide[slide] = scores.embedding_scores(x[mine], spots.labels[mine], most)
        except DataError as error:  # one class on this slide; others can be scored
            by_slide[slide] = {"spots": int(mine.sum()), "left_out": str(error)}
            continue
        by_slide[slide]["baselines"] = {
            name: scores.embedding_scores(vectors[mine], spots.labels[mine], most) for name, vectors in beside.items()
        }
    scored = {slide: values_of(entry) for slide, entry in by_slide.items() if "silhouette" in entry}
    mixing = scores.batch_mixing(x, spots.labels, of_slide, most)
    over = over_slides(scored, list(beside)) if scored else {}
    return by_slide, {"pooled": pooled, "over_slides": over, "batch_mixing": mixing}


def over_slides(scored: dict[str, dict], beside: list[str]) -> dict:
    """Return mean, deviation and interval of each figure over slides, of the baselines too, and how much it is above
    each of them."""

    def told(values: dict[str, list[float]]) -> dict:
        found: dict = {name: _spread(of_slides) for name, of_slides in values.items()}
        return found | {"intervals": {name: scores.mean_interval(v, list(scored)) for name, v in values.items()}}

    own = {name: [entry[name] for entry in scored.values()] for name in SHOWN}
    known = {one: {name: [entry[f"baselines.{one}.{name}"] for entry in scored.values()] for name in SHOWN}
             for one in beside}  # fmt: skip
    above = {one: {name: np.subtract(own[name], known[one][name]).tolist() for name in SHOWN} for one in beside}
    of_baselines, of_above = ({one: told(values) for one, values in all_of.items()} for all_of in (known, above))
    return told(own) | {"baselines": of_baselines, "above": of_above}


def values_of(entry: dict) -> dict:
    """Return figure → value of a slide."""
    return {score.name: score.value for score in evaluation.score_items(entry)}


def table(entries: dict[str, dict]) -> str:
    """Return the scores of each slide as lines of text."""
    width = max(map(len, entries))
    lines = [f"{'':{width}}  spots  " + "  ".join(f"{name:>17}" for name in SHOWN)]
    for name, entry in entries.items():
        found = values_of(entry)
        cells = entry.get("left_out") or "  ".join(f"{found[figure]:17.4f}" for figure in SHOWN)
        lines.append(f"{name:{width}}  {entry['spots']:>5}  {cells}")
    return "\n".join(lines)


def _spread(values: Sequence) -> dict:
    return {"mean": float(np.mean(values)), "std": float(np.std(values, ddof=1)) if len(values) > 1 else None}


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_labelled(parser, "out/embedding_scores")
    parser.add_argument("--no-colour", action="store_true", help=NO_COLOUR)
    parser.add_argument("--norm", choices=("none", "unit"), default="none", help="norm of the vectors: none leaves "
                        "them as they are, unit divides each by its length (default: %(default)s)")  # fmt: skip
    parser.add_argument("--most", type=positive, default=MAX_SPOTS, help="largest number of spots to score exactly; of "
                        "more spots, a sample of this size is scored (default: %(default)s)")  # fmt: skip
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
