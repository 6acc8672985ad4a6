"""Truth and prediction of one slide from another as tables, a row a spot, as the data set's authors have them."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from stimage.core.files import write_text
from stimage.core.tables import csv_text
from stimage.evaluation.expression_data import EmbeddedSlide, spots_of
from stimage.evaluation.saved.predictions import read_folds, read_told
from stimage.evaluation.saved.regressors import read_regressors, regressor_file


def write_tables(folder: Path, slides: Mapping[str, EmbeddedSlide]) -> list[Path]:
    """Write truth_SLIDE.csv and predicted_SLIDE.csv of each slide that is predicted from another; return their paths.

    Rows are in the order of the slide's spots, as `read_slide` has them. All spots that have an embedding are
    predicted, by the saved regressor; the truth, log1p of normalised counts, is of those that have a count.

    Parameters
    ----------
    folder
        What a prediction by the protocol "original" wrote.
    slides
        The slides by name.
    """
    written = []
    for number, fold in enumerate(read_folds(folder, read_told(folder))):
        if not fold.facts.get("trained_on"):
            continue
        (one,), (models, _) = fold.slides, read_regressors(regressor_file(folder, number))
        whole = slides[one.slide]
        order = np.argsort(spots_of(whole)[1], kind="stable")
        ids, said = whole.spot_ids[order].tolist(), models["embeddings"](whole.vectors[order])
        truth = dict(zip(one.spot_ids.tolist(), one.truth))
        rows = {"truth": [(spot, truth[spot]) for spot in ids if spot in truth], "predicted": list(zip(ids, said))}
        for name, some in rows.items():
            written.append(folder / f"{name}_{one.slide}.csv")
            write_text(written[-1], csv_text([["", *fold.genes], *_lines(some)]))
    return written


def _lines(rows: Iterable[tuple[str, np.ndarray]]) -> Iterable[Sequence]:
    return ([spot, *values.tolist()] for spot, values in rows)
