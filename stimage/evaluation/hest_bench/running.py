"""Run a task of HEST-Benchmark: fit, predict and score each fold; means and intervals are over folds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stimage.core.errors import DataError
from stimage.evaluation.hest_bench.folder import BenchSample, BenchTask, read_counts_of
from stimage.evaluation.hest_bench.heads import HEADS, SEED, Model
from stimage.evaluation.saved.predictions import PredictedFold, PredictedSlide
from stimage.evaluation.saved.regressors import Regressor
from stimage.evaluation.saved.scoring import PredictionScores, keeping
from stimage.loading.embeddings import Embeddings
from stimage.scores.ceilings import count_noise


@dataclass(frozen=True, eq=False)
class BenchSpots:
    """The n spots of a sample: barcodes in the order of its patches, vectors (float32, n x d), counts (n x genes)."""

    sample: BenchSample
    barcodes: Sequence[str]
    vectors: np.ndarray
    counts: np.ndarray

    @property
    def truth(self) -> np.ndarray:
        """The values to predict: log1p of the counts (n x genes)."""
        return np.log1p(self.counts)

    def predicted(self, model: Model) -> PredictedSlide:
        """Return the predictions of a model, beside the truth."""
        noise = count_noise(self.counts, np.ones(len(self.counts)))
        return PredictedSlide(self.sample.name, np.array(self.barcodes), self.truth, noise,
                              {"embeddings": model(self.vectors)})  # fmt: skip


def spots_of_task(task: BenchTask, vectors: Callable[[BenchSample], Embeddings]) -> dict[str, BenchSpots]:
    """Return sample → its spots, in the order of its embeddings.

    Parameters
    ----------
    vectors
        Returns a sample's embeddings, whose ids are its barcodes, in the order of its patches.

    Raises
    ------
    DataError
        If a sample lacks a spot or a gene, or embeddings are of several lengths.
    """
    found = {}
    for sample in task.samples:
        read = vectors(sample)
        barcodes = read.spot_ids.tolist()
        found[sample.name] = BenchSpots(sample, barcodes, read.vectors, read_counts_of(sample, barcodes, task.genes))
    if len(lengths := {one.vectors.shape[1] for one in found.values()}) > 1:
        raise DataError(f"{task.name}: embeddings of {' and '.join(map(str, sorted(lengths)))} numbers are mixed")
    return found


def run_task(
    task: BenchTask, spots: Mapping[str, BenchSpots], head: str, seed: int = SEED, out: Path | None = None
) -> PredictionScores:
    """Run all folds of a task; predictions and regressors are written into the folder ``out``, if there is one.

    Pearson's r is of each gene over all test spots of a fold; its mean over genes, then over folds, is the figure. A
    constant gene makes the mean NaN, as there; it is named. The standard deviation is the population's.
    """
    if head not in HEADS:
        raise ValueError(f"heads={head!r}: pass any of {', '.join(HEADS)}")
    with keeping("hest", {}, out) as kept:
        for fold in task.folds:
            train, test = ([spots[one.name] for one in part] for part in (fold.train, fold.test))
            x, y = np.concatenate([one.vectors for one in train]), np.concatenate([one.truth for one in train])
            model = HEADS[head](x, y, seed)
            slides = [one.predicted(model) for one in test]
            models = {"embeddings": model} if isinstance(model, Regressor) else {}
            kept.add(PredictedFold(task.genes, {"n_train": len(x)}, slides, models))
        return kept.scores()
