"""Running the protocols of expression prediction over slides: scores by slide and overall."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from stimage.cells.features import NucleiOfSlides
from stimage.core.errors import DataError
from stimage.evaluation.expression import (
    Measured,
    SlidePrediction,
    fit_fixed,
    hest_fold,
    leave_out,
    measured,
    original_on_slide,
    original_ridge,
)
from stimage.evaluation.expression_data import EmbeddedSlide
from stimage.evaluation.joint.neighbours import fit_neighbours, keys_of
from stimage.evaluation.saved.predictions import PredictedFold
from stimage.evaluation.saved.regressors import Regressor
from stimage.evaluation.saved.scoring import Kept, PredictionScores, keeping
from stimage.genes.choosing import hest_choice, slide_moments
from stimage.genes.dispersion import common_genes
from stimage.genes.names import Naming
from stimage.genes.panels import Panel
from stimage.loading.embeddings import Embeddings
from stimage.scores.folds import random_folds
from stimage.slides.catalog import Slide
from stimage.slides.names import fold_name
from stimage.slides.splits.groups import groups_of, merge_groups, read_patients
from stimage.slides.splits.splitting import Splitting

BY_STUDY = Splitting("study", no_study="own")  # what intervals are over where slides are held out one by one


@dataclass(frozen=True)
class PredictionTask:
    """A task of expression prediction: the genes, and the slides that are held out together.

    ``groups`` is slide name → group. With ``folds``, groups are dealt into this number of folds. Without a ``panel``,
    ``n_genes`` are chosen. ``gene_table`` tells symbols and Ensembl ids apart. ``show`` is called with the prediction
    of each slide that was not trained on. ``k`` is the number of neighbours that predict. Neighbours are found by
    ``keys``, other embeddings of the slides in the same space, such as those of genes; without ``keys``, by their own
    embeddings. With ``tested``, names of slides, only these are held out, all at once, with their groups. With
    ``colour``, images are read for the baseline of colours. ``nuclei``, those of all slides, are for the baseline of
    nuclei alone. Predictions and regressors are written into the folder ``out``, if there is one. ``source``, a slide's
    name, is the slide from which the original protocol predicts the ``tested`` ones.
    """

    slides: Sequence[EmbeddedSlide]
    groups: Mapping[str, str] = field(default_factory=dict)
    folds: int | None = None
    panel: Panel | None = None
    n_genes: int = 50
    gene_table: str | None = None
    show: Callable[[SlidePrediction], None] = lambda prediction: None
    k: int = 50
    keys: Embeddings | None = None
    tested: Collection[str] = ()
    colour: bool = False
    out: Path | None = None
    nuclei: NucleiOfSlides | None = None
    source: str = ""

    def transfers(self) -> list[tuple[str, str]]:
        """Return pairs of slides for the original protocol: the source to train on, and the target to predict.

        Each slide is predicted from the one before it; with a ``source``, the ``tested`` slides from that one.
        """
        names = [one.slide.name for one in self.slides]
        if self.source:
            return [(self.source, name) for name in names if name in self.tested]
        return list(zip([names[-1], *names[:-1]], names)) if len(names) > 1 else []

    def parts(self) -> list[tuple[list[EmbeddedSlide], list[EmbeddedSlide]]]:
        """Return the slides to train on and those to test on, for each fold.

        Raises
        ------
        DataError
            If there are fewer groups than folds, or none to train on.
        """
        if self.tested:
            out = {self.groups[name] for name in self.tested}
            known = [one for one in self.slides if self.groups[one.slide.name] not in out]
            if not known:
                raise DataError(
                    "no slide is left to train on: all of them are tested, or belong to the groups of tested slides. "
                    "Name fewer slides as test= (--test), or add slides of other groups"
                )
            return [(known, [one for one in self.slides if one.slide.name in self.tested])]
        return [
            (
                [one for one in self.slides if one.slide.name not in held],
                [one for one in self.slides if one.slide.name in held],
            )
            for held in leave_out(self.groups, self.folds)
        ]

    def measured(self, one: EmbeddedSlide, panel: Panel, kind: str = "median-log1p") -> Measured:
        """Read a slide's expression of a panel, and the features of the baselines that are wanted."""
        return measured(one, panel, self.colour, self.nuclei, kind)

    def panels(self, chosen_on: Sequence[Sequence[EmbeddedSlide]]) -> list[Panel]:
        """Return the panel of each training set by HEST's rule, among the genes that the files of all slides have.

        Each slide is read once, for all its panels.
        """
        if self.panel:
            return [self.panel] * len(chosen_on)
        naming = Naming(self.gene_table, "symbol") if self.gene_table else None
        common = common_genes([one.slide for one in self.slides], naming)
        sums = {one.slide.name: slide_moments(one.slide, common, naming=naming) for one in self.slides}
        return [
            Panel(tuple(hest_choice((sums[one.slide.name] for one in some), common, self.n_genes)), self.gene_table)
            for some in chosen_on
        ]


def run_original(task: PredictionTask, gene: str) -> PredictionScores:
    """Predict one gene as the data set's authors do: by random spots of each slide, then one slide from another.

    Each slide is predicted from the one before it, or as `PredictionTask.transfers` says, with the alpha that was best
    there. Intervals are over studies, whose slides are alike. A slide without a known study is a study of its own.
    """
    panel, alphas = Panel((gene,), task.gene_table), {}
    read = {one.slide.name: task.measured(one, panel) for one in task.slides}
    with keeping("original", split_groups([one.slide for one in task.slides], BY_STUDY), task.out) as kept:
        for name, one in read.items():
            if task.source in ("", name):
                try:
                    alphas[name] = _within_slide(one, panel, kept)
                except DataError as error:
                    raise DataError(f"{name}: {error}") from None
        pairs = task.transfers()
        for name in alphas.keys() - {target for _, target in pairs}:
            kept.add(PredictedFold(panel.genes, {"trained_on": None}, [read[name].predicted({})]))
        for source, one in ((read[source], read[target]) for source, target in pairs):
            alpha = alphas[source.name]
            # in single precision, rounding decides the third digit after LSQR's last step
            vectors, values = (np.asarray(some, np.float64) for some in (source.spots.vectors, source.values))
            regressors = {"embeddings": Regressor.of_scikit_learn(original_ridge(alpha).fit(vectors, values))}
            said = regressors["embeddings"](one.spots.vectors)
            facts = {"trained_on": source.name, "alpha": alpha}
            kept.add(PredictedFold(panel.genes, facts, [one.predicted({"embeddings": said})], regressors))
            task.show(SlidePrediction(one.spots, panel.genes, one.values, said, source.name))
        return kept.scores()


def _within_slide(one: Measured, panel: Panel, kept: Kept) -> float:
    """Predict random spots of a slide from the others, by embeddings and by baselines; return the embeddings' alpha."""
    target = one.values[:, 0]
    features = {"embeddings": one.spots.vectors} | {
        name: np.column_stack([some, np.ones(len(some))]).astype(np.float32) for name, some in one.baselines().items()
    }
    fitted = {name: original_on_slide(some, target) for name, some in features.items()}
    for seed, fold in enumerate(random_folds(len(target))):
        models = {name: Regressor.of_scikit_learn(some[seed]) for name, (_, some) in fitted.items()}
        said = {name: some[seed].predict(features[name][fold.test])[:, None] for name, (_, some) in fitted.items()}
        models["gene_mean"] = Regressor(target[fold.train].mean(keepdims=True, dtype=np.float64))
        said["gene_mean"] = models["gene_mean"](fold.test)
        facts = {"seed": seed, "alpha": fitted["embeddings"][0]}
        kept.add(PredictedFold(panel.genes, facts, [one.take(fold.test).predicted(said)], models))
    return fitted["embeddings"][0]


def run_hest(task: PredictionTask) -> PredictionScores:
    """Predict as HEST-Benchmark does, with its quirk of choosing genes with the test slides in view.

    One constant gene makes the means NaN; the results name such genes.
    """
    (panel,) = task.panels([task.slides])
    read = {one.slide.name: task.measured(one, panel, "log1p") for one in task.slides}
    with keeping("hest", {}, task.out) as kept:
        for train, test in task.parts():
            known, tested = ([read[one.slide.name] for one in some] for some in (train, test))
            models, facts = {}, {}
            targets = np.concatenate([one.values for one in known])
            for name, features in tested[0].features():
                x = np.concatenate([features(one) for one in known])
                models[name], facts[name] = hest_fold(x, targets)
            models["gene_mean"] = Regressor(targets.mean(0, np.float64))
            kept.add(_predicted(tested, panel, models, {"n_train": len(targets), **facts["embeddings"]}, task, train))
        return kept.scores()


def run_fixed(task: PredictionTask) -> PredictionScores:
    """Predict without any information from the test slides except the names of their genes.

    In each fold, HEST's rule chooses the panel on the training slides alone. Counts are normalised to the slide's
    median total and log1p. The predictor is ridge regression with an intercept, whose penalty is chosen by leaving out
    training groups. The baselines are the genes' training means, and the same regression on positions within the slide,
    on colours and on nuclei.
    """
    return _run_held_out(task, _ridge)


def run_neighbours(task: PredictionTask) -> PredictionScores:
    """Predict as `run_fixed` does, but by neighbours instead of a regression (BLEEP: Xie et al., NeurIPS 2023).

    The prediction of a spot is the mean expression of the ``k`` spots of training slides that are nearest to it by
    cosine similarity. With ``keys`` of genes, a spot's image looks among the training spots' genes, as in BLEEP.
    """
    return _run_held_out(task, lambda known, groups: _neighbours(known, task))


Fit = Callable[[Sequence[Measured], Sequence[str]], tuple[Callable[[np.ndarray], np.ndarray], float | None]]


def _run_held_out(task: PredictionTask, fit: Fit) -> PredictionScores:
    parts = task.parts()
    panels = task.panels([train for train, _ in parts])
    every = tuple(dict.fromkeys(gene for panel in panels for gene in panel.genes))
    read = {one.slide.name: task.measured(one, Panel(every, task.gene_table)) for one in task.slides}
    with keeping("fair", task.groups, task.out) as kept:
        for (train, test), panel in zip(parts, panels):
            columns = [every.index(gene) for gene in panel.genes]
            known, tested = ([read[one.slide.name].take_genes(columns) for one in some] for some in (train, test))
            groups, models, alphas = [task.groups[one.slide.name] for one in train], {}, {}
            models["embeddings"], alphas["embeddings"] = fit(known, groups)
            for name, features in known[0].features()[1:]:
                models[name], alphas[name] = _ridge(known, groups, features)
            models["gene_mean"] = Regressor(np.concatenate([one.values for one in known]).mean(0, np.float64))
            facts = {"alphas": {name: alpha for name, alpha in alphas.items() if alpha}}
            kept.add(_predicted(tested, panel, models, facts, task, train))
        return kept.scores()


def _predicted(
    tested: Sequence[Measured],
    panel: Panel,
    models: Mapping[str, Callable[[np.ndarray], np.ndarray]],
    facts: Mapping[str, Any],
    task: PredictionTask,
    train: Sequence[EmbeddedSlide],
) -> PredictedFold:
    """Predict a fold's test slides, and show them."""
    slides = []
    for one in tested:
        of = {**dict(one.features()), "gene_mean": lambda one: one.spots.vectors}
        slides.append(one.predicted({name: model(of[name](one)) for name, model in models.items()}))
        said = slides[-1].said["embeddings"]
        task.show(SlidePrediction(one.spots, panel.genes, one.values, said, f"{len(train)} slides"))
    regressors = {name: model for name, model in models.items() if isinstance(model, Regressor)}
    return PredictedFold(panel.genes, facts, slides, regressors)


def _ridge(
    known: Sequence[Measured], groups: Sequence[str], features: Callable[[Measured], np.ndarray] | None = None
) -> tuple[Regressor, float]:
    """Return a ridge regression on the embeddings of training slides, or on other features, and its penalty."""
    x = [features(one) if features else one.spots.vectors for one in known]
    fit, alpha = fit_fixed([(part, one.values) for part, one in zip(x, known)], groups, [one.xy[:, 0] for one in known])
    return Regressor.of_ridge(fit), alpha


def _neighbours(known: Sequence[Measured], task: PredictionTask) -> tuple[Callable[[np.ndarray], np.ndarray], None]:
    """Return the predictor by the nearest spots of training slides."""
    keys = [keys_of(one.spots, task.keys) for one in known]
    return fit_neighbours(np.concatenate(keys), np.concatenate([one.values for one in known]), task.k), None


def split_groups(slides: Sequence[Slide], splitting: Splitting) -> dict[str, str]:
    """Return slide name → the group that is held out as a whole: slide, study or patient, as in ``splitting.by``.

    Studies that share a slide are one group.

    Raises
    ------
    DataError
        If a slide's group is unknown.
    """
    return merge_groups(groups_of(slides, splitting))


def hest_groups(slides: Sequence[Slide], patients: str | None = None, no_study: str | None = None) -> dict[str, str]:
    """Return slide name → study and patient; a slide without a patient in the table has "Patient 1", as in HEST."""
    studies = split_groups(slides, Splitting("study", no_study=no_study))
    names = read_patients(patients) if patients else {fold_name(s.name): s.patient or "" for s in slides}
    return {name: f"{study} {names.get(fold_name(name)) or 'Patient 1'}" for name, study in studies.items()}
