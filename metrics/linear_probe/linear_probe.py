"""The linear probe as a module: evaluate.load("metrics/linear_probe").compute(predictions=…, references=…)."""

import datasets
import evaluate
import numpy as np

from stimage.core.errors import DataError
from stimage.scores.folds import group_folds, random_folds
from stimage.scores.linear_probe import predict_folds
from stimage.scores.probe_scores import summarise

DESCRIPTION = """How well a linear classifier on embeddings of spots tells labels apart: macro-F1, balanced accuracy and
AUROC (one class against the rest) on spots held out, the same as scripts/evaluation/linear_probe.py has."""
INPUTS = """
Args:
    predictions: embeddings, a list of numbers each.
    references: labels.
    groups: the slide, study or patient of each spot; whole groups are held out. Without, spots are split at random, and
        neighbours on a slide are trained and tested on.
    protocol: "converged" or "original".
"""


@evaluate.utils.file_utils.add_start_docstrings(DESCRIPTION, INPUTS)
class LinearProbe(evaluate.Metric):
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
        self, predictions: list, references: list, groups: list | None = None, protocol: str = "converged"
    ) -> dict:
        x = np.array(predictions, np.float32)
        names, labels = np.unique(references, return_inverse=True)
        if groups is None:
            units, folds = np.zeros(len(x), int).astype(str), random_folds(len(x))
        elif len(groups) != len(x):
            raise DataError(f"{len(groups)} groups for {len(x)} embeddings: give one for each")
        else:
            units = np.asarray(groups).astype(str)
            folds = group_folds(units, np.arange(len(x)).astype(str))
        predicted = predict_folds(protocol, x, labels, folds)
        return {"classes": names.tolist()} | summarise(predicted, labels, units, all_named=protocol == "original")
