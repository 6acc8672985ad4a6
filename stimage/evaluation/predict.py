"""Running the protocols of expression prediction over slides: scores by slide and overall."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from stimage.core.errors import DataError
from stimage.evaluation.averages import beside_baselines, finite, fold_intervals, mean_and_std, mean_scores
from stimage.evaluation.expression import (
    SlidePrediction,
    beside_ceiling,
    fair_scores,
    fit_fixed,
    gene_ceilings,
    hest_fold,
    leave_out,
    original_on_slide,
    original_ridge,
    place_features,
    with_counts,
)
from stimage.evaluation.expression_data import EmbeddedSlide, read_expression, read_places
from stimage.evaluation.joint.neighbours import fit_neighbours, keys_of
from stimage.genes.choosing import hest_choice, slide_moments
from stimage.genes.dispersion import common_genes
from stimage.genes.names import Naming
from stimage.genes.panels import Panel
from stimage.loading.embeddings import Embeddings
from stimage.scores.ceilings import noise_ceilings
from stimage.scores.intervals import mean_interval
from stimage.scores.ridge import RidgeFit, fair_pearson, pearson
from stimage.slides.catalog import Slide
from stimage.slides.names import fold_name
from stimage.slides.splits.groups import groups_of, merge_groups, read_patients
from stimage.slides.splits.splitting import Splitting


@dataclass(frozen=True)
class PredictionTask:
    """A task of expression prediction: the genes, and the slides that are held out together.

    ``groups`` is slide name → group; with ``folds``, groups are dealt into so many bins. Without a ``panel``,
    ``n_genes`` are chosen; ``gene_table`` tells symbols and Ensembl ids apart. ``show`` is called with the prediction
    of each slide that was not trained on. ``k`` is the number of neighbours that predict; ``keys`` is by what these are
    found, other embeddings of the slides in the same space, such as of genes; without it, their own. With ``tested``,
    names of slides, these are the only ones that are held out, all at once, with what is of their groups.
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

    def parts(self) -> list[tuple[list[EmbeddedSlide], list[EmbeddedSlide]]]:
        """Return the slides to train on and those to test on, of each fold.

        Raises
        ------
        DataError
            If there are fewer groups than folds, or none to train on.
        """
        if self.tested:
            out = {self.groups[name] for name in self.tested}
            known = [one for one in self.slides if self.groups[one.slide.name] not in out]
            if not known:
                raise DataError("no slide is left to train on, but those that are tested or of their groups; name "
                                "fewer as test= (--test), or add slides of others")  # fmt: skip
            return [(known, [one for one in self.slides if one.slide.name in self.tested])]
        return [
            (
                [one for one in self.slides if one.slide.name not in held],
                [one for one in self.slides if one.slide.name in held],
            )
            for held in leave_out(self.groups, self.folds)
        ]

    def panels(self, chosen_on: Sequence[Sequence[EmbeddedSlide]]) -> list[Panel]:
        """Return the panel of each training set by HEST's rule, among the genes that the files of all slides have.

        Each slide is read once, whatever panels it is for.
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


@dataclass
class PredictionScores:
    """Scores by slide and overall."""

    slides: dict = field(default_factory=dict)
    overall: dict = field(default_factory=dict)


def run_original(task: PredictionTask, gene: str) -> PredictionScores:
    """Predict one gene as the data set's authors do: by random spots of each slide, then one slide from another.

    Each slide is predicted from the one before it, with the alpha that was best there.
    """
    panel, outcome, transfer = Panel((gene,), task.gene_table), PredictionScores(), []
    expressed = [with_counts(one, panel, "median-log1p") for one in task.slides]
    read = [(one, expression.values) for one, expression in expressed]
    tops = {one.slide.name: noise_ceilings(known.values, known.noise()) for one, known in expressed}
    for one, values in read:
        try:
            found = original_on_slide(one.vectors, values[:, 0])
        except DataError as error:
            raise DataError(f"{one.slide.name}: {error}") from None
        outcome.slides[one.slide.name] = found | beside_ceiling(_row(found["pearson"]["mean"]), tops[one.slide.name])
    for (source, known), (one, values) in zip([read[-1], *read[:-1]], read) if len(read) > 1 else ():
        alpha = outcome.slides[source.slide.name]["best_alpha"]
        predicted = original_ridge(alpha).fit(source.vectors, known).predict(one.vectors).reshape(values.shape)
        r, error = pearson(values, predicted)[0], np.mean((predicted - values) ** 2)
        transfer.append({"trained_on": source.slide.name, "tested_on": one.slide.name, "alpha": alpha, "n": len(one),
                         "mse": float(error), "pearson": float(r),
                         "of_ceiling": beside_ceiling(_row(r), tops[one.slide.name])["of_ceiling"]})  # fmt: skip
        task.show(SlidePrediction(one, panel.genes, values, predicted, source.slide.name))
    by_slide = {key: [s[key]["mean"] for s in outcome.slides.values()] for key in ("mse", "pearson")}
    by_slide["of_ceiling"] = [s["of_ceiling"] for s in outcome.slides.values()]
    means = {key: mean_and_std(finite(values)) for key, values in by_slide.items()}
    intervals = {key: mean_interval(values, list(outcome.slides)) for key, values in by_slide.items()}
    outcome.overall = {"gene": gene, **means, "intervals": intervals, "transfer": transfer}
    return outcome


def _row(value: float) -> np.ndarray:
    return np.array([value], np.float64)


def run_hest(task: PredictionTask) -> PredictionScores:
    """Predict as HEST-Benchmark does, with its quirk of choosing genes with the test slides in view.

    One constant gene makes the means NaN; the results name such genes.
    """
    (panel,) = task.panels([task.slides])
    targets = {one.slide.name: read_expression(one, panel, "log1p") for one in task.slides}
    outcome, by_fold = PredictionScores(), []
    for train, test in task.parts():
        known = [targets[one.slide.name] for one in test]
        truth, noise = [one.values for one in known], [one.noise() for one in known]
        predicted, facts = hest_fold(
            np.concatenate([one.vectors for one in train]),
            np.concatenate([targets[one.slide.name].values for one in train]),
            np.concatenate([one.vectors for one in test]),
        )
        r = pearson(np.concatenate(truth), predicted)
        constant = [gene for gene, value in zip(panel.genes, r) if np.isnan(value)]
        held = [one.slide.name for one in test]
        tops = noise_ceilings(np.concatenate(truth), np.concatenate(noise))
        by_fold.append({"test": held, "n": len(predicted), "pearson": float(r.mean()), "constant": constant, **facts,
                        **beside_ceiling(r, tops), "ceilings": gene_ceilings(panel.genes, r, tops)})  # fmt: skip
        parts = np.split(predicted, np.cumsum([len(one) for one in test])[:-1])
        for one, own, spread, part in zip(test, truth, noise, parts):
            r = pearson(own, part)
            beside = beside_ceiling(r, noise_ceilings(own, spread))
            outcome.slides[one.slide.name] = {"n": len(one), "pearson": float(r.mean()), **beside}
            task.show(SlidePrediction(one, panel.genes, own, part, f"{len(train)} slides"))
    means = [fold["pearson"] for fold in by_fold]
    spread = {"mean": float(np.mean(means)), "std": float(np.std(means))}  # of the population, as there
    outcome.overall = {"pearson": spread, "of_ceiling": mean_and_std(finite([f["of_ceiling"] for f in by_fold])),
                       "intervals": fold_intervals(by_fold), "genes": list(panel.genes), "folds": by_fold}  # fmt: skip
    return outcome


def run_fixed(task: PredictionTask) -> PredictionScores:
    """Predict without any information from the test slides but the names of their genes.

    Of each fold: the panel by HEST's rule on the training slides alone; counts normalised to the slide's median total
    and log1p; ridge regression with an intercept, its penalty chosen by leaving out training groups; beside it, the
    genes' training means and the same regression on places within the slide.
    """
    return _run_held_out(task, _ridge)


def run_neighbours(task: PredictionTask) -> PredictionScores:
    """Predict as `run_fixed` does, but by neighbours instead of a regression (BLEEP: Xie et al., NeurIPS 2023).

    The prediction of a spot is the mean expression of the ``k`` spots of training slides that are nearest to it by
    cosine similarity. With ``keys`` of genes, a spot's image looks among the training spots' genes, as in BLEEP.
    """
    return _run_held_out(task, lambda known, groups: _neighbours(known, task))


Fit = Callable[[Sequence["Measured"], Sequence[str]], tuple[Callable[[np.ndarray], np.ndarray], float | None]]


def _run_held_out(task: PredictionTask, fit: Fit) -> PredictionScores:
    outcome, by_fold, parts = PredictionScores(), [], task.parts()
    panels = task.panels([train for train, _ in parts])
    every = tuple(dict.fromkeys(gene for panel in panels for gene in panel.genes))
    read = {one.slide.name: _measured(one, Panel(every, task.gene_table)) for one in task.slides}
    for (train, test), panel in zip(parts, panels):
        columns = [every.index(gene) for gene in panel.genes]
        known, tested = ([read[one.slide.name].take_genes(columns) for one in some] for some in (train, test))
        models = _fit_all(known, [task.groups[one.slide.name] for one in train], fit)
        predicted = {name: [model(features(one)) for one in tested] for name, (model, _, features) in models.items()}
        alphas = {name: alpha for name, (_, alpha, _) in models.items() if alpha}
        facts = {"test": [one.slide.name for one in test], "alphas": alphas}
        by_fold.append(facts | _of_fold(tested, predicted, panel))
        for k, one in enumerate(tested):
            tops = noise_ceilings(one.values, one.noise)
            by_name = {name: fair_scores(one.values, p[k], tops) for name, p in predicted.items()}
            outcome.slides[one.spots.slide.name] = beside_baselines(by_name)
            said = predicted["embeddings"][k]
            task.show(SlidePrediction(one.spots, panel.genes, one.values, said, f"{len(train)} slides"))
    outcome.overall = mean_scores(outcome.slides, by_fold, task.groups) | {"folds": by_fold}
    return outcome


@dataclass(frozen=True, eq=False)
class Measured:
    """The n spots of a slide that have a count, with their expression, its noise (n x genes) and places (n x 2)."""

    spots: EmbeddedSlide
    values: np.ndarray
    noise: np.ndarray
    xy: np.ndarray

    def take_genes(self, columns: Sequence[int]) -> "Measured":
        return Measured(self.spots, self.values[:, columns], self.noise[:, columns], self.xy)


def _measured(one: EmbeddedSlide, panel: Panel) -> Measured:
    spots, read = with_counts(one, panel, "median-log1p")
    return Measured(spots, read.values, read.noise(), read_places(spots)[0])


def _ridge(
    known: Sequence[Measured], groups: Sequence[str], features: Callable[[Measured], np.ndarray] | None = None
) -> tuple[RidgeFit, float]:
    """Return a ridge regression on the embeddings of training slides, or on other features, and its penalty."""
    x = [features(one) if features else one.spots.vectors for one in known]
    return fit_fixed([(part, one.values) for part, one in zip(x, known)], groups, [one.xy[:, 0] for one in known])


def _neighbours(known: Sequence[Measured], task: PredictionTask) -> tuple[Callable[[np.ndarray], np.ndarray], None]:
    """Return what predicts by the nearest spots of training slides."""
    keys = [keys_of(one.spots, task.keys) for one in known]
    return fit_neighbours(np.concatenate(keys), np.concatenate([one.values for one in known]), task.k), None


def _fit_all(known: Sequence[Measured], groups: Sequence[str], fit: Fit) -> dict:
    """Return the predictors by name: a model, its alpha, and the function that makes its features from a slide."""
    mean = np.concatenate([one.values for one in known]).mean(0, np.float64)
    embedded, placed = fit(known, groups), _ridge(known, groups, lambda one: place_features(one.xy))
    return {
        "embeddings": (*embedded, lambda one: one.spots.vectors),
        "gene_mean": (lambda n: np.tile(mean, (n, 1)), None, lambda one: len(one.spots)),
        "coordinates": (*placed, lambda one: place_features(one.xy)),
    }


def _of_fold(tested: Sequence[Measured], predicted: Mapping[str, Sequence[np.ndarray]], panel: Panel) -> dict:
    """Score a fold's test spots together, and by gene."""
    whole, noise = np.concatenate([one.values for one in tested]), np.concatenate([one.noise for one in tested])
    joined = {name: np.concatenate(parts) for name, parts in predicted.items()}
    r, tops = fair_pearson(whole, joined["embeddings"]), noise_ceilings(whole, noise)
    return beside_baselines({name: fair_scores(whole, part, tops) for name, part in joined.items()}) | {
        "by_gene": dict(zip(panel.genes, r.tolist())),
        "ceilings": gene_ceilings(panel.genes, r, tops),
    }


def split_groups(slides: Sequence[Slide], splitting: Splitting) -> dict[str, str]:
    """Return slide name → the group that is held out as a whole: slide, study or patient, as ``splitting.by`` says.

    Studies that share a slide are one.

    Raises
    ------
    DataError
        If a slide's group is not known.
    """
    return merge_groups(groups_of(slides, splitting))


def hest_groups(slides: Sequence[Slide], patients: str | None = None, no_study: str | None = None) -> dict[str, str]:
    """Return slide name → study and patient; without a patient in the table it is "Patient 1", as in HEST."""
    studies = split_groups(slides, Splitting("study", no_study=no_study))
    names = read_patients(patients) if patients else {fold_name(s.name): s.patient or "" for s in slides}
    return {name: f"{study} {names.get(fold_name(name)) or 'Patient 1'}" for name, study in studies.items()}
