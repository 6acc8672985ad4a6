"""STImage-Bench's protocol on one organ's slides: dealt 8:1:1 by slide, anew for each seed."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from stimage.core.errors import DataError
from stimage.evaluation.averages import beside_baselines, mean_scores
from stimage.evaluation.expression import WIDE_ALPHAS, fair_scores, gene_ceilings, place_features
from stimage.evaluation.expression_data import EmbeddedSlide, Expression, read_expression, read_places
from stimage.evaluation.predict import PredictionScores
from stimage.genes.dispersion import common_genes, count_blocks
from stimage.genes.panels import Panel
from stimage.scores.ceilings import noise_ceilings
from stimage.scores.ridge import fair_pearson, ridge_path
from stimage.slides.catalog import Slide
from stimage.slides.splits.dealing import deal_slides
from stimage.slides.splits.splitting import Splitting

SEEDS = (0, 1, 2)


def variable_genes(slides: Sequence[Slide], n: int) -> list[str]:
    """Return the n genes of largest variance of log1p counts over all spots, among those that all slides have."""
    common = common_genes(slides, None)
    spots, sums, squares = 0, np.zeros(len(common)), np.zeros(len(common))
    for slide in slides:
        for some, _, column, values in count_blocks(slide, common, None):
            log = np.log1p(values)
            spots += some
            sums += np.bincount(column, log, len(common))
            squares += np.bincount(column, log * log, len(common))
    variance = squares / spots - (sums / spots) ** 2
    return [common[k] for k in np.argsort(-variance, kind="stable")[:n]]


def run_stimage_bench(slides: Sequence[EmbeddedSlide], n: int = 50, seeds: Sequence[int] = SEEDS) -> PredictionScores:
    """Predict log1p counts of the most variable genes, test slides in view, by ridge regression on embeddings.

    Slides are dealt exactly, at least one to each part; the penalty is that of the least error on the validation
    slides. Pearson's r is of each gene over all test spots; its mean over genes, then over seeds, is ``pooled``. With
    slides dealt, those of one study fall on both sides: see `leaks`. Which slides the published figures were tested on
    is not known, so these stand beside them, and are not the same split.

    Raises
    ------
    DataError
        If there are fewer than three slides, or they have no gene in common.
    """
    if len(slides) < 3:
        raise DataError(f"{len(slides)} slides cannot be dealt into train, validation and test: add slides")
    panel = Panel(tuple(variable_genes([one.slide for one in slides], n)))
    read = {one.slide.name: read_expression(one, panel, "log1p") for one in slides}
    places = {one.slide.name: place_features(read_places(one)[0]) for one in slides}
    by_seed, by_slide = [], defaultdict(list)
    for seed in seeds:
        dealt = deal_slides([one.slide for one in slides], Splitting("slide", seed))
        parts = {part: [one for one in slides if dealt[one.slide.name].split == part]
                 for part in ("train", "validation", "test")}  # fmt: skip
        test = parts["test"]
        known, alphas = _predictions(parts, read, places)
        by_seed.append({"seed": seed, "test": [one.slide.name for one in test], "alphas": alphas}
                       | _scored([read[one.slide.name] for one in test], known, panel))  # fmt: skip
        for k, one in enumerate(test):
            own = read[one.slide.name]
            tops = noise_ceilings(own.values, own.noise())
            scores = {name: fair_scores(own.values, some[k], tops) for name, some in known.items()}
            by_slide[one.slide.name].append(beside_baselines(scores))
    every = {name: _mean(some) for name, some in by_slide.items()}
    overall = mean_scores(every, by_seed, {name: name for name in every})
    return PredictionScores(every, overall | {"genes": list(panel.genes), "folds": by_seed})


def _predictions(
    parts: Mapping[str, Sequence[EmbeddedSlide]], read: Mapping[str, Expression], places: Mapping[str, np.ndarray]
) -> tuple[dict[str, list[np.ndarray]], dict[str, float]]:
    """Return, by predictor, the predictions of each test slide, and the penalties."""
    truth = {part: np.concatenate([read[one.slide.name].values for one in some]) for part, some in parts.items()}
    mean = truth["train"].mean(0, dtype=np.float64)
    found = {"gene_mean": [np.tile(mean, (len(one), 1)) for one in parts["test"]]}
    alphas = {}
    for name, of in (("embeddings", lambda one: one.vectors), ("coordinates", lambda one: places[one.slide.name])):
        x = {part: np.concatenate([of(one) for one in some]) for part, some in parts.items()}
        models = ridge_path(x["train"], truth["train"], WIDE_ALPHAS)
        errors = [np.mean((model(x["validation"]) - truth["validation"]) ** 2) for model in models]
        best = int(np.argmin(errors))
        alphas[name], found[name] = WIDE_ALPHAS[best], [models[best](of(one)) for one in parts["test"]]
    return found, alphas


def _scored(tested: Sequence[Expression], predicted: Mapping[str, Sequence[np.ndarray]], panel: Panel) -> dict:
    """Score all test spots of a seed together, and by gene."""
    whole, noise = np.concatenate([one.values for one in tested]), np.concatenate([one.noise() for one in tested])
    joined, tops = {name: np.concatenate(some) for name, some in predicted.items()}, noise_ceilings(whole, noise)
    r = fair_pearson(whole, joined["embeddings"])
    return beside_baselines({name: fair_scores(whole, some, tops) for name, some in joined.items()}) | {
        "by_gene": dict(zip(panel.genes, r.tolist())),
        "ceilings": gene_ceilings(panel.genes, r, tops),
    }


def _mean(many: Sequence[Mapping]) -> dict:
    """Return the means, figure by figure, of a slide's scores in the seeds that test it."""
    first = many[0]
    return {key: _mean([one[key] for one in many]) if isinstance(first[key], Mapping)
            else float(np.mean([one[key] for one in many])) for key in first}  # fmt: skip
