"""STImage-Bench's protocol on one organ's slides: dealt 8:1:1 by slide, again for each seed."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from stimage.cells.features import NucleiOfSlides
from stimage.core.errors import DataError
from stimage.evaluation.expression import WIDE_ALPHAS, place_features
from stimage.evaluation.expression_data import EmbeddedSlide, Expression, read_expression, read_places, slide_colours
from stimage.evaluation.predict import BY_STUDY, split_groups
from stimage.evaluation.saved.predictions import PredictedFold, PredictedSlide
from stimage.evaluation.saved.regressors import Regressor
from stimage.evaluation.saved.scoring import PredictionScores, keeping
from stimage.genes.dispersion import common_genes, count_blocks
from stimage.genes.panels import Panel
from stimage.scores.ridge import ridge_path
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


def run_stimage_bench(
    slides: Sequence[EmbeddedSlide],
    n: int = 50,
    seeds: Sequence[int] = SEEDS,
    out: Path | None = None,
    nuclei: NucleiOfSlides | None = None,
) -> PredictionScores:
    """Predict log1p counts of the most variable genes, test slides in view, by ridge regression on embeddings.

    Slides are dealt exactly, at least one to each part. The penalty is the one with the least error on the validation
    slides. Pearson's r of each gene is over all test spots; its mean over genes, then over seeds, is ``pooled``. Slides
    are dealt, so slides of one study fall on both sides: see `leaks`. Slides of a study are alike, so intervals of
    ``per_slide`` are over studies; a slide without a known study is a study of its own. The slides on which the
    published figures were tested are unknown, so these results stand beside them, and are not the same split.
    Predictions and regressors are written into the folder ``out``, if there is one. With the ``nuclei`` of all slides,
    there is a baseline of nuclei alone.

    Raises
    ------
    DataError
        If there are fewer than three slides, or they have no gene in common.
    """
    if len(slides) < 3:
        raise DataError(f"{len(slides)} slides cannot be dealt into train, validation and test: add slides")
    panel = Panel(tuple(variable_genes([one.slide for one in slides], n)))
    read = {one.slide.name: read_expression(one, panel, "log1p") for one in slides}
    features = {one.slide.name: _features(one, nuclei) for one in slides}
    with keeping("fair", split_groups([one.slide for one in slides], BY_STUDY), out) as kept:
        for seed in seeds:
            dealt = deal_slides([one.slide for one in slides], Splitting("slide", seed))
            parts = {part: [one for one in slides if dealt[one.slide.name].split == part]
                     for part in ("train", "validation", "test")}  # fmt: skip
            models, alphas = _models(parts, read, features)
            tested = [_predicted(one, read[one.slide.name], features[one.slide.name], models) for one in parts["test"]]
            kept.add(PredictedFold(panel.genes, {"seed": seed, "alphas": alphas}, tested, models))
        return kept.scores()


def _features(one: EmbeddedSlide, nuclei: NucleiOfSlides | None) -> dict[str, np.ndarray]:
    """Return the predictors of a slide's spots, by name: embeddings, and the baselines' features."""
    xy, r = read_places(one)
    colour = slide_colours(one.slide, xy[:, 0], xy[:, 1], r)
    beside = {"nuclei": nuclei.features(one.slide, xy, r)} if nuclei else {}
    return {"embeddings": one.vectors, "coordinates": place_features(xy), "colour": colour, **beside}


def _models(
    parts: Mapping[str, Sequence[EmbeddedSlide]],
    read: Mapping[str, Expression],
    features: Mapping[str, Mapping[str, np.ndarray]],
) -> tuple[dict[str, Regressor], dict[str, float]]:
    """Return what predicts, by name, and the penalties."""
    truth = {part: np.concatenate([read[one.slide.name].values for one in some]) for part, some in parts.items()}
    found, alphas = {}, {}
    for name in next(iter(features.values())):
        x = {part: np.concatenate([features[one.slide.name][name] for one in some]) for part, some in parts.items()}
        models = ridge_path(x["train"], truth["train"], WIDE_ALPHAS)
        errors = [np.mean((model(x["validation"]) - truth["validation"]) ** 2) for model in models]
        best = int(np.argmin(errors))
        alphas[name], found[name] = WIDE_ALPHAS[best], Regressor.of_ridge(models[best])
    return found | {"gene_mean": Regressor(truth["train"].mean(0, dtype=np.float64))}, alphas


def _predicted(
    one: EmbeddedSlide, known: Expression, features: Mapping[str, np.ndarray], models: Mapping[str, Regressor]
) -> PredictedSlide:
    said = {name: model(features.get(name, one.vectors)) for name, model in models.items()}
    return PredictedSlide(one.slide.name, one.spot_ids, known.values, known.noise(), said)
