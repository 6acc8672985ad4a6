"""Running a task of HEST-Benchmark: each fold is fitted, predicted and scored; means and intervals are over folds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from stimage.core.errors import DataError
from stimage.evaluation.averages import finite, fold_intervals, mean_and_std
from stimage.evaluation.expression import beside_ceiling, gene_ceilings
from stimage.evaluation.hest_bench.folder import BenchSample, BenchTask, read_counts_of
from stimage.evaluation.hest_bench.heads import HEADS, SEED
from stimage.loading.embeddings import Embeddings
from stimage.scores.ceilings import count_noise, noise_ceilings
from stimage.scores.ridge import pearson


@dataclass(frozen=True, eq=False)
class BenchSpots:
    """The n spots of a sample: barcodes in the order of its patches, vectors (float32, n x d), counts (n x genes)."""

    sample: BenchSample
    barcodes: Sequence[str]
    vectors: np.ndarray
    counts: np.ndarray


@dataclass(frozen=True, eq=False)
class BenchScores:
    """Figures by sample and overall; and by fold, truth and prediction (n x genes) of each tested sample."""

    slides: dict
    overall: dict
    predicted: Sequence[Mapping[str, tuple[np.ndarray, np.ndarray]]]


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


def run_task(task: BenchTask, spots: Mapping[str, BenchSpots], head: str, seed: int = SEED) -> BenchScores:
    """Run all folds of a task.

    Pearson's r is of each gene over all test spots of a fold; its mean over genes, then over folds, is the figure. A
    constant gene makes the mean NaN, as there; it is named. The standard deviation is the population's.
    """
    if head not in HEADS:
        raise ValueError(f"heads={head!r}: pass any of {', '.join(HEADS)}")
    by_fold, slides, dumps = [], {}, []
    for fold in task.folds:
        train, test = ([spots[one.name] for one in part] for part in (fold.train, fold.test))
        x, y = np.concatenate([one.vectors for one in train]), np.concatenate([np.log1p(one.counts) for one in train])
        truth, counts = [np.log1p(one.counts) for one in test], np.concatenate([one.counts for one in test])
        predicted = HEADS[head](x, y, np.concatenate([one.vectors for one in test]), seed)
        r = pearson(whole := np.concatenate(truth), predicted)
        tops = noise_ceilings(whole, count_noise(counts, np.ones(len(counts))))
        by_fold.append({
            "test": [one.name for one in fold.test], "n": len(whole), "n_train": len(x), "pearson": float(r.mean()),
            "constant": [gene for gene, value in zip(task.genes, r) if np.isnan(value)],
            "by_gene": dict(zip(task.genes, r.tolist())), **beside_ceiling(r, tops),
            "ceilings": gene_ceilings(task.genes, r, tops),
        })  # fmt: skip
        parts = np.split(predicted, np.cumsum([len(one.barcodes) for one in test])[:-1])
        dumps.append({one.sample.name: (own, part) for one, own, part in zip(test, truth, parts)})
        for one, own, part in zip(test, truth, parts):
            slides[one.sample.name] = {"n": len(own), "pearson": float(pearson(own, part).mean())}
    means = [fold["pearson"] for fold in by_fold]
    overall = {
        "pearson": {"mean": float(np.mean(means)), "std": float(np.std(means))},
        "of_ceiling": mean_and_std(finite([fold["of_ceiling"] for fold in by_fold])),
        "intervals": fold_intervals(by_fold), "genes": list(task.genes), "folds": by_fold,
    }  # fmt: skip
    return BenchScores(slides, overall, dumps)
