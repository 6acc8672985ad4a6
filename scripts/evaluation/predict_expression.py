"""Predict expression from embeddings, under one of three protocols; results.json and maps of predicted genes.

original  one gene, ridge regression, random spots of each slide, then one slide from another: the data set's authors'
          figures, of which those of random spots are too good: neighbours are on both sides.
hest      HEST-Benchmark to the letter: (study, patient) groups held out, 50 genes chosen with the test slides in view.
fixed     groups held out, genes and penalty chosen on training slides alone, baselines beside it.
"""

import argparse
import hashlib
import time
from pathlib import Path

from stimage.cli.evaluation import grouping_of, only_slides, slides_of
from stimage.cli.options import add_filters, add_splits, positive, run
from stimage.evaluation.embeddings import Embeddings, read_embeddings
from stimage.evaluation.expression import ALPHAS, HEST_PCA, WIDE_ALPHAS, SlidePrediction
from stimage.evaluation.expression_data import EmbeddedSlide, embedded_slides, spots_of
from stimage.evaluation.pictured import UNITS, mapped_shapes, titles_of
from stimage.evaluation.predict import (
    PredictionScores,
    PredictionTask,
    hest_groups,
    run_fixed,
    run_hest,
    run_original,
    split_groups,
)
from stimage.evaluation.results import data_identity, write_results
from stimage.figures.maps import prediction_maps
from stimage.figures.style import save
from stimage.genes.panels import Panel
from stimage.scores.folds import SEEDS
from stimage.scores.ridge import fair_pearson
from stimage.slides.catalog import read_catalog

PROTOCOLS = {"original": 1, "hest": 1, "fixed": 1}  # and their versions
PACKAGES = ("stimage-1k4m", "scikit-learn", "numpy", "scipy")


def main() -> None:
    args, start = parse_arguments(), time.monotonic()
    catalog = read_catalog(args.root)
    wanted, parts = slides_of(args, catalog)
    embeddings = read_embeddings(args.embeddings, [slide.name for slide in catalog.slides])
    slides, without = embedded_slides(embeddings, catalog.slides, wanted)
    if without:
        print(f"note: {len(without)} slides have no embeddings and are left out: {', '.join(without[:10])}")
    outcome = predict(args, slides)
    parts = only_slides(parts, {one.slide.name for one in slides})
    path = write(args, outcome, slides, parts, embeddings, time.monotonic() - start)
    print(f"Pearson's r {outcome.overall['pearson']['mean']:.3f}: {path}")


def predict(args: argparse.Namespace, slides: list[EmbeddedSlide]) -> PredictionScores:
    left = iter(range(args.maps))

    def show(prediction: SlidePrediction) -> None:
        if next(left, None) is not None:
            draw(prediction, args)

    if args.protocol == "original":
        return run_original(PredictionTask(slides, gene_table=args.gene_table, show=show), args.gene)
    chosen = [one.slide for one in slides]
    panel = Panel.read(args.panel, args.gene_table) if args.panel else None
    rest = (args.folds, panel, args.n, args.gene_table, show)
    if args.protocol == "hest":
        return run_hest(PredictionTask(slides, hest_groups(chosen, args.patients, args.no_study), *rest))
    return run_fixed(PredictionTask(slides, split_groups(chosen, grouping_of(args)), *rest))


def write(
    args: argparse.Namespace,
    outcome: PredictionScores,
    slides: list[EmbeddedSlide],
    parts: dict[str, list[str]],
    embeddings: Embeddings,
    seconds: float,
) -> Path:
    if args.protocol == "original":
        config = {"gene": args.gene, "alphas": ALPHAS, "normalise": "median-log1p", "split": "random"}
    else:
        genes = list(Panel.read(args.panel).genes) if args.panel else None
        config = {"genes": genes or args.n, "folds": args.folds}
        config |= (
            {"normalise": "log1p", "components": HEST_PCA, "split": "study and patient"} if args.protocol == "hest"
            else {"normalise": "median-log1p", "alphas": WIDE_ALPHAS, "split": args.split,
                  "nan": "genes constant in the truth are left out and counted; constant predictions score 0"}
        )  # fmt: skip
    if args.patients:
        config["patients_sha256"] = hashlib.sha256(Path(args.patients).read_bytes()).hexdigest()
    used = [embeddings.take(embeddings.slides == one.slide.name) for one in slides]
    by_slide = {str(one.slides[0]): data_identity(one.spot_ids, embeddings=one) for one in used}
    data = {"model": embeddings.model, "slides": len(slides), "by_slide": by_slide, "parts": parts}
    seeds = SEEDS if args.protocol == "original" else [0]
    return write_results(args.out, f"expression-{args.protocol}", PROTOCOLS[args.protocol], config, data, seeds,
                         PACKAGES, seconds, outcome.slides, outcome.overall)  # fmt: skip


def draw(prediction: SlidePrediction, args: argparse.Namespace) -> None:
    """Map a slide that was not trained on: measured expression above the predicted."""
    one = prediction.spots
    title = f"{one.slide.name}\npredicted from {prediction.trained_on}"
    genes = titles_of(prediction.genes, args.gene_table, one.slide.species)
    unit = UNITS["log1p" if args.protocol == "hest" else "median-log1p"]
    scores = fair_pearson(prediction.truth, prediction.predicted)
    figure = prediction_maps(title, mapped_shapes(*spots_of(one)), genes, prediction.truth, prediction.predicted,
                             scores, unit)  # fmt: skip
    print(f"map: {save(figure, args.out / f'map_{one.slide.name}')[0]}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--embeddings", type=Path, required=True, help="folder or file of embed_spots, or a CSV")
    parser.add_argument("--root", required=True, help="the root that they were made of: counts and coordinates")
    parser.add_argument("--protocol", choices=PROTOCOLS, default="fixed", help="(%(default)s)")
    parser.add_argument("--gene", default="ERBB2", help="of the original protocol (%(default)s)")
    parser.add_argument("--panel", help="file of genes, instead of choosing them (hest, fixed)")
    parser.add_argument("--n", type=positive, default=50, help="genes to choose (%(default)s)")
    parser.add_argument("--split", choices=("slide", "study", "patient"), default="slide",
                        help="what fixed holds out (%(default)s)")  # fmt: skip
    parser.add_argument("--folds", type=positive, help="bins of groups; without it, one group is left out at a time")
    parser.add_argument("--gene-table", metavar="FILE", help="of symbols and Ensembl ids, as select_genes takes it")
    parser.add_argument("--maps", type=int, default=3, help="slides to draw (%(default)s)")
    add_filters(parser)
    add_splits(parser, parts=True)
    parser.add_argument("--out", type=Path, required=True, help="the folder for results.json and the maps")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
