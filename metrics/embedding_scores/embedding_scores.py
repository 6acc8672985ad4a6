"""Embedding scores as a module: evaluate.load("metrics/embedding_scores").compute(predictions=…, references=…)."""

import datasets
import evaluate
import numpy as np

from stimage.scores.embedding_scores import batch_mixing, embedding_scores, l2_normalise
from stimage.scores.folds import MAX_SPOTS

DESCRIPTION = """How embeddings of spots lie by label: silhouette, Calinski-Harabasz, Davies-Bouldin, and how clusters
of k-means and Leiden agree with the labels, the same as scripts/evaluation/embedding_scores.py has."""
INPUTS = """
Args:
    predictions: embeddings, a list of numbers each.
    references: labels.
    slides: the slide of each spot, for batch_mixing.
    norm: "none", or "unit" to scale embeddings to unit norm.
    most: of more spots, so many are drawn and scored.
"""


@evaluate.utils.file_utils.add_start_docstrings(DESCRIPTION, INPUTS)
class EmbeddingScores(evaluate.Metric):
    def _info(self) -> evaluate.MetricInfo:
        features = {
            "predictions": datasets.Sequence(datasets.Value("float32")),
            "references": datasets.Value("string"),
        }
        return evaluate.MetricInfo(
            description=DESCRIPTION,
            citation="",
            inputs_description=INPUTS,
            features=datasets.Features(features),
        )

    def _compute(
        self, predictions: list, references: list, slides: list | None = None, norm: str = "none", most: int = MAX_SPOTS
    ) -> dict:
        if norm not in ("none", "unit"):
            raise ValueError(f"norm={norm!r}: pass 'none' or 'unit'")
        x, labels = np.array(predictions, np.float32), np.asarray(references)
        x = l2_normalise(x) if norm == "unit" else x
        scores = embedding_scores(x, labels, most)
        return (
            scores if slides is None else scores | {"batch_mixing": batch_mixing(x, labels, np.asarray(slides), most)}
        )
