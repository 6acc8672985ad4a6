"""Scores of predicted folds: what a run reports, and what its saved predictions give again."""

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from stimage.evaluation.averages import (
    above_known,
    beside_baselines,
    beside_ceiling,
    fair_scores,
    finite,
    fold_intervals,
    gene_ceilings,
    mean_and_std,
    mean_of,
    mean_scores,
)
from stimage.evaluation.saved.predictions import PredictedFold, PredictedSlide, read_folds, read_told, writing_folds
from stimage.scores.ceilings import noise_ceilings
from stimage.scores.intervals import mean_interval
from stimage.scores.ridge import fair_pearson, pearson


@dataclass
class PredictionScores:
    """Scores by slide and overall."""

    slides: dict = field(default_factory=dict)
    overall: dict = field(default_factory=dict)


class Scoring(ABC):
    """Takes folds one by one, and has the scores in the end; ``groups`` is slide → what is held out as a whole."""

    def __init__(self, groups: Mapping[str, str]):
        self.groups = groups

    @abstractmethod
    def add(self, fold: PredictedFold) -> None:
        """Score a fold."""

    @abstractmethod
    def scores(self) -> PredictionScores:
        """Return the scores of all folds."""


class FairScoring(Scoring):
    """Constant genes are left out and counted; a slide that several folds test has the mean of its scores in these."""

    def __init__(self, groups: Mapping[str, str]):
        super().__init__(groups)
        self.folds: list[dict] = []
        self.slides = defaultdict(list)
        self.genes: list[Sequence[str]] = []

    def add(self, fold: PredictedFold) -> None:
        whole, facts = fold.joined(), {"test": [one.slide for one in fold.slides], **fold.facts}
        tops = noise_ceilings(whole.truth, whole.noise)
        r = fair_pearson(whole.truth, whole.said["embeddings"])
        self.folds.append(facts | _fair(whole) | {
            "by_gene": dict(zip(fold.genes, r.tolist())), "ceilings": gene_ceilings(fold.genes, r, tops),
        })  # fmt: skip
        self.genes.append(list(fold.genes))
        for one in fold.slides:
            self.slides[one.slide].append(_fair(one))

    def scores(self) -> PredictionScores:
        slides = {name: some[0] if len(some) == 1 else _mean(some) for name, some in self.slides.items()}
        one_panel = {"genes": self.genes[0]} if all(genes == self.genes[0] for genes in self.genes) else {}
        return PredictionScores(
            slides, mean_scores(slides, self.folds, self.groups) | one_panel | {"folds": self.folds}
        )


class HestScoring(Scoring):
    """As HEST-Benchmark: the mean over genes, NaN with one constant gene, then over folds; std is the population's."""

    def __init__(self, groups: Mapping[str, str]):
        super().__init__(groups)
        self.folds: list[dict] = []
        self.slides: dict[str, dict] = {}
        self.genes: Sequence[str] = ()

    def add(self, fold: PredictedFold) -> None:
        whole, self.genes = fold.joined(), fold.genes
        r, tops = pearson(whole.truth, whole.said["embeddings"]), noise_ceilings(whole.truth, whole.noise)
        self.folds.append({
            "test": [one.slide for one in fold.slides], "n": len(whole.truth), "pearson": float(r.mean()),
            "constant": [gene for gene, value in zip(fold.genes, r) if np.isnan(value)], **fold.facts,
            "by_gene": dict(zip(fold.genes, r.tolist())), **beside_ceiling(r, tops),
            "ceilings": gene_ceilings(fold.genes, r, tops), **_baselines(whole),
        })  # fmt: skip
        for one in fold.slides:
            r, tops = pearson(one.truth, one.said["embeddings"]), noise_ceilings(one.truth, one.noise)
            own = {"n": len(one.truth), "pearson": float(r.mean()), **beside_ceiling(r, tops)}
            self.slides[one.slide] = own | _baselines(one)

    def scores(self) -> PredictionScores:
        means = [fold["pearson"] for fold in self.folds]
        names = [", ".join(fold["test"]) for fold in self.folds]
        overall = {
            "pearson": {"mean": float(np.mean(means)), "std": float(np.std(means))},
            "of_ceiling": mean_and_std(finite([fold["of_ceiling"] for fold in self.folds])),
            "intervals": fold_intervals(self.folds),
        } | _mean_baselines(self.folds, names)  # fmt: skip
        return PredictionScores(self.slides, overall | {"genes": list(self.genes), "folds": self.folds})


class OriginalScoring(Scoring):
    """As the data set's authors: folds of random spots of a slide ("seed" is among their facts), then whole slides,
    each predicted from another one ("trained_on"), or from none, where there is but one."""

    def __init__(self, groups: Mapping[str, str]):
        super().__init__(groups)
        self.random = defaultdict(list)
        self.facts: dict[str, dict] = {}
        self.slides: dict[str, dict] = {}
        self.transfer: list[dict] = []
        self.genes: Sequence[str] = ()

    def add(self, fold: PredictedFold) -> None:
        (one,), self.genes = fold.slides, fold.genes
        if "seed" in fold.facts:
            found = {name: _error_and_r(one.truth, said, name) for name, said in one.said.items()}
            self.random[one.slide].append(found)
            self.facts[one.slide] = {"best_alpha": fold.facts["alpha"]}
            return
        tops = noise_ceilings(one.truth, one.noise)
        if random := self.random[one.slide]:
            found = {name: _spread([fold[name] for fold in random]) for name in random[0]}
            own = found.pop("embeddings")
            beside = beside_ceiling(np.array([own["pearson"]["mean"]]), tops)
            self.slides[one.slide] = {**self.facts[one.slide], "n": len(one.truth), **own, **beside, "baselines": found}
        if fold.facts["trained_on"]:
            error, r = _error_and_r(one.truth, one.said["embeddings"], "embeddings")
            self.transfer.append({"trained_on": fold.facts["trained_on"], "tested_on": one.slide,
                                  "alpha": fold.facts["alpha"], "n": len(one.truth), "mse": error, "pearson": r,
                                  "of_ceiling": beside_ceiling(np.array([r]), tops)["of_ceiling"]})  # fmt: skip

    def scores(self) -> PredictionScores:
        names = [self.groups.get(name, name) for name in self.slides]
        by_slide = {key: [s[key]["mean"] for s in self.slides.values()] for key in ("mse", "pearson")}
        by_slide["of_ceiling"] = [s["of_ceiling"] for s in self.slides.values()]
        means = {key: mean_and_std(finite(values)) for key, values in by_slide.items()}
        intervals = {key: mean_interval(values, names) for key, values in by_slide.items()}
        baselines, r = {}, {}
        for name in next(iter(self.slides.values()))["baselines"]:
            of = {key: [s["baselines"][name][key]["mean"] for s in self.slides.values()] for key in ("mse", "pearson")}
            baselines[name] = {key: mean_and_std(finite(values)) for key, values in of.items()}
            baselines[name]["intervals"] = {key: mean_interval(values, names) for key, values in of.items()}
            r[name] = of["pearson"]
        beside = {"baselines": baselines, "above": above_known(by_slide["pearson"], r, names)}
        overall = {"gene": self.genes[0], **means, "intervals": intervals, **beside, "transfer": self.transfer}
        return PredictionScores(self.slides, overall)


SCORINGS: dict[str, type[Scoring]] = {"fair": FairScoring, "hest": HestScoring, "original": OriginalScoring}


class Kept:
    """Scores folds as they come, and writes them where a folder is given: see `keeping`."""

    def __init__(self, scoring: Scoring, write: Callable[[PredictedFold], None]):
        self._scoring, self._write = scoring, write

    def add(self, fold: PredictedFold) -> None:
        """Score a fold, from the very numbers that are written."""
        fold = replace(fold, slides=[_as_written(one) for one in fold.slides])
        self._scoring.add(fold)
        self._write(fold)

    def scores(self) -> PredictionScores:
        """Return the scores of all folds."""
        return self._scoring.scores()


@contextmanager
def keeping(name: str, groups: Mapping[str, str], folder: Path | None) -> Iterator[Kept]:
    """Give what scores folds by one of `SCORINGS`, and writes them into a folder, if there is one."""
    scoring = SCORINGS[name](groups)
    if folder is None:
        yield Kept(scoring, lambda fold: None)
        return
    with writing_folds(folder, name, groups) as writer:
        yield Kept(scoring, writer.add)


def score_again(folder: Path) -> PredictionScores:
    """Return the scores that a folder's predictions give.

    Raises
    ------
    DataError
        If the file of predictions is missing or damaged.
    """
    told = read_told(folder)
    scoring = SCORINGS[told["name"]](told["groups"])
    for fold in read_folds(folder, told):
        scoring.add(fold)
    return scoring.scores()


def _as_written(one: PredictedSlide) -> PredictedSlide:
    truth, noise = np.asarray(one.truth, np.float64), np.asarray(one.noise, np.float32)
    return replace(one, truth=truth, noise=noise, said={n: np.asarray(s, np.float64) for n, s in one.said.items()})


def _fair(one: PredictedSlide) -> dict:
    tops = noise_ceilings(one.truth, one.noise)
    return beside_baselines({name: fair_scores(one.truth, said, tops) for name, said in one.said.items()})


def _baselines(one: PredictedSlide) -> dict:
    """Return the scores of what stands beside embeddings, where anything does."""
    return {"baselines": _fair(one)["baselines"]} if len(one.said) > 1 else {}


def _mean_baselines(folds: Sequence[dict], names: Sequence[str]) -> dict:
    """Return the baselines' means over folds, and how much the embeddings are above them."""
    some = folds[0].get("baselines", {})
    baselines = {name: mean_of([fold["baselines"][name] for fold in folds], names) for name in some}
    r = {name: [fold["baselines"][name]["pearson"] for fold in folds] for name in some}
    beside = above_known([fold["pearson"] for fold in folds], r, names)
    return {"baselines": baselines, "above": beside} if baselines else {}


def _error_and_r(truth: np.ndarray, said: np.ndarray, name: str) -> tuple[float, float]:
    r = pearson(truth, said) if name == "embeddings" else fair_pearson(truth, said)  # a mean does not vary
    return float(np.mean((said - truth) ** 2)), float(r[0])


def _spread(found: Sequence[tuple[float, float]]) -> dict:
    error, r = zip(*found)
    return {"mse": mean_and_std(error), "pearson": mean_and_std(r)}


def _mean(many: Sequence[Mapping]) -> dict:
    """Return the means, figure by figure, of a slide's scores in the folds that test it."""
    first = many[0]
    return {key: _mean([one[key] for one in many]) if isinstance(first[key], Mapping)
            else float(np.mean([one[key] for one in many])) for key in first}  # fmt: skip
