"""Retrieval as a module: evaluate.load("metrics/retrieval").compute(predictions=…, references=…, groups=…)."""

from collections.abc import Sequence

import datasets
import evaluate
import numpy as np

from stimage.scores.retrieval import retrieval_scores

DESCRIPTION = """How near the top each spot's own partner is among all, by cosine similarity: recall@k and median rank,
both ways; a tie counts against the model. The same as scripts/evaluation/retrieval.py has."""
INPUTS = """
Args:
    predictions: vectors of one kind, such as images' embeddings.
    references: the vectors that belong to them, such as genes' embeddings.
    groups: a slide for each spot: only spots of the same slide are then candidates.
    ks: which recalls.
"""


@evaluate.utils.file_utils.add_start_docstrings(DESCRIPTION, INPUTS)
class Retrieval(evaluate.Metric):
    def _info(self) -> evaluate.MetricInfo:
        vector = datasets.Sequence(datasets.Value("float32"))
        return evaluate.MetricInfo(
            description=DESCRIPTION,
            citation="",
            inputs_description=INPUTS,
            features=datasets.Features({"predictions": vector, "references": vector}),
        )

    def _compute(
        self, predictions: list, references: list, groups: list | None = None, ks: Sequence[int] = (1, 5, 10)
    ) -> dict:
        a, b = (np.array(vectors, np.float32) for vectors in (predictions, references))
        return retrieval_scores(a, b, groups, ks)
