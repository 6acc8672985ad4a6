"""Predict expression from embeddings."""

import time
from collections.abc import Sequence
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from stimage.cells.features import nuclei_of_slides
from stimage.core.arguments import check_one_of, check_whole
from stimage.evaluation.expression import ALPHAS, HEST_PCA, WIDE_ALPHAS, SlidePrediction
from stimage.evaluation.expression_data import EmbeddedSlide, spots_of
from stimage.evaluation.pictured import UNITS, mapped_shapes
from stimage.evaluation.predict import (
    PredictionScores,
    PredictionTask,
    hest_groups,
    run_fixed,
    run_hest,
    run_neighbours,
    run_original,
    split_groups,
)
from stimage.evaluation.results import data_identity, vectors_digest, write_scores
from stimage.figures.maps import prediction_maps
from stimage.figures.style import save
from stimage.genes.names import titles_of
from stimage.genes.panels import Panel
from stimage.jobs.results.tables import write_tables
from stimage.jobs.roots import Root, open_unpublished
from stimage.jobs.scores import Scores, grouping, sealed, with_patients
from stimage.jobs.vectors.chosen import ChosenSlides, choose_slides
from stimage.loading.embeddings import Embeddings
from stimage.scores.folds import SEEDS
from stimage.scores.ridge import fair_pearson
from stimage.slides.splits.splitting import SPLIT_BY

# protocols, and their versions; 1 of "original" predicted from another slide in single precision, with intervals over
# slides; 1 of "hest" had intervals over the folds that are known
PREDICTIONS = {"original": 2, "hest": 2, "fixed": 1, "neighbours": 1}
RUNS = {"hest": run_hest, "fixed": run_fixed, "neighbours": run_neighbours}  # those of a panel
NEIGHBOURS = 50  # as BLEEP
GENE = "ERBB2"  # of the original protocol, if none is named
PACKAGES = ("stimage-1k4m", "scikit-learn", "numpy", "scipy")


def predict(
    root: str | Path | Root,
    embeddings: str | Path | pd.DataFrame | Embeddings,
    protocol: str = "fixed",
    split: str = "slide",
    *,
    gene: str | None = None,
    panel: Any = None,
    n: int = 50,
    folds: int | None = None,
    test: str | Path | Sequence[str] | None = None,
    train: str | None = None,
    k: int | None = None,
    keys: str | Path | pd.DataFrame | Embeddings | None = None,
    gene_table: str | Path | None = None,
    patients: str | Path | None = None,
    no_study: str | None = None,
    colour: bool = True,
    maps: int = 0,
    seen: str = "error",
    out: str | Path | None = None,
) -> Scores:
    """Predict expression from embeddings by ridge regression or nearest neighbours, on slides that were not trained on.

    Parameters
    ----------
    root
        A folder laid out as the data set, its URL, or a `Root` that `open_root` returned, with counts.
    embeddings
        The table that `embed` returns, the folder or file that it wrote, or a CSV with the spot ids first.
    protocol
        "fixed": groups are held out, genes and penalty are chosen on training slides alone, and baselines are added.
        "neighbours": as "fixed", but a spot gets the mean over its nearest spots in training slides (after BLEEP: Xie
        et al., NeurIPS 2023). "hest": HEST-Benchmark's protocol exactly, groups of study and patient. "original": one
        gene, on random spots of each slide, then on one slide from another, as the data set's authors.
    split, gene
        For "fixed" and "neighbours": the groups that are held out, "slide", "study" or "patient". For "original": the
        gene; None takes ERBB2.
    panel, n
        The genes: a `Panel`, names or a panel file. Without a panel, the protocol chooses ``n`` genes.
    folds, test
        The number of folds that groups are dealt into; None holds out one group at a time.
        For "fixed" and "neighbours": slides to test on, as names or a file of names. All others are trained on. None
        holds out each group in turn.
    train
        For "original", with ``test``: the slide to train on. By default, the slide before the predicted one.
    k, keys
        For "neighbours": the number of neighbours (50, as BLEEP), and embeddings of the same spots by which they are
        found, such as those of genes, as BLEEP does. Without ``keys``, ``embeddings`` serve.
    gene_table, patients, no_study
        A table of symbols and Ensembl ids, for slides that name genes otherwise; and groups of slides, as in `probe`.
    colour, maps
        Whether to read images for the baseline of colours; and the number of slides to draw maps of into ``out``.
    seen
        What to do with slides that the model was trained on: "error", "drop", which leaves them out, or "score".
    out
        A folder to write results.json, results.csv, predictions, regressors and maps into, from which `verify` computes
        the figures again. "original" also writes truth_SLIDE.csv and predicted_SLIDE.csv. None writes nothing.

    Returns
    -------
    Scores
        ``overall["pearson"]`` has ``mean`` and ``std`` of Pearson's r, and ``overall["baselines"]`` those of
        ``gene_mean``, ``coordinates``, ``colour`` and, with the cells of all slides, ``nuclei``. "fixed" and
        "neighbours" have both in ``overall["per_slide"]`` and ``overall["pooled"]``.

    Raises
    ------
    DataError
        If embeddings belong to other slides, a slide is an image alone, slides have no gene in common, a group is
        unknown, or the model was trained on a slide.
    ValueError
        If there is no such protocol or split, an option is of another protocol, or ``maps`` is given without ``out``.

    Examples
    --------
    >>> import stimage
    >>> root = stimage.open_root("sample", species="human", exclude="Human_Breast_Sample5_VisiumHD_A1")
    >>> table = stimage.embed(root, "clip")
    >>> scores = stimage.predict(root, table, panel=["ERBB2", "KRT8"])
    >>> sorted(scores.slides)
    ['Human_Breast_Sample1_ST_A1', 'Human_Breast_Sample3_Visium_A1']
    >>> {"colour", "coordinates", "gene_mean"} <= set(scores.overall["pooled"]["baselines"])
    True
    """
    check_prediction(protocol, split, gene, panel, n, folds, test, train, k, keys, patients, no_study, maps)
    if maps and out is None:
        raise ValueError("maps= are drawn into a folder: pass out= too")
    gene = gene or GENE
    began, root = time.monotonic(), open_unpublished(root)
    chosen, folder = choose_slides(root, embeddings, keys, test, train, seen), None if out is None else Path(out)
    slides, notes = chosen.slides, chosen.notes
    predicted, drawn, table = 0, [], str(gene_table) if gene_table else None
    genes = Panel.read(panel, table) if panel is not None else None

    def show(prediction: SlidePrediction) -> None:
        nonlocal predicted
        if (predicted := predicted + 1) <= maps:
            drawn.append(_draw(prediction, folder or Path(), protocol, table))
            notes.append(f"map: {drawn[-1][0]}")

    groups = _groups(protocol, slides, split, patients, no_study)
    nuclei, partly = nuclei_of_slides(root.catalog.root, [one.slide for one in slides])
    notes += partly
    task = PredictionTask(slides, groups, folds, genes, n, table, show, k or NEIGHBOURS, chosen.keys,
                          {one.slide.name for one in chosen.tested}, colour, folder, nuclei, chosen.source)  # fmt: skip
    outcome = run_original(task, gene) if protocol == "original" else RUNS[protocol](task)
    if 0 < maps < predicted:
        notes += [f"maps of {maps} of {predicted} predicted slides; maps={predicted} (--maps {predicted}) draws all"]
    path = None
    if folder is not None:
        asked = {"genes": list(genes.genes) if genes else n, "folds": folds}
        config = with_patients(_config(protocol, gene, split, asked, task), root, patients)
        data = _data(root, chosen) | ({"nuclei": nuclei.about} if nuclei else {})
        path = _write(folder, protocol, config, outcome, data, time.monotonic() - began)
        tables = write_tables(folder, chosen.every) if protocol == "original" else []
        notes += [f"table: {table}" for table in tables]
        sealed(path, [*tables, *(file for files in drawn for file in files)])
    return Scores(outcome.overall, outcome.slides, tuple(notes), path)


def check_prediction(
    protocol: str, split: str, gene: Any, panel: Any, n: int, folds: int | None, test: Any, train: Any, k: Any,
    keys: Any, patients: Any, no_study: Any, maps: Any,
) -> None:  # fmt: skip
    """Refuse, with a `ValueError`, options of `predict` that cannot be, whatever the slides."""
    check_one_of(protocol, "protocol", PREDICTIONS)
    check_one_of(split, "split", SPLIT_BY)
    if not (isinstance(n, Integral) and n > 0 and (folds is None or (isinstance(folds, Integral) and folds > 1))):
        raise ValueError(f"n={n!r}, folds={folds!r}: pass 1 gene or more, and 2 folds or more")
    check_whole(maps, "maps")
    if k is not None:
        check_whole(k, "k", 1)
    _check_protocol(protocol, gene, panel, test, train, folds, not (k is None and keys is None))
    if protocol in ("fixed", "neighbours"):
        grouping(split, patients, no_study)


def _check_protocol(
    protocol: str, gene: object, panel: object, test: object, train: object, folds: int | None, near: bool
) -> None:
    """Refuse options that are another protocol's."""
    if gene is not None and not isinstance(gene, str):
        raise ValueError(f"gene={gene!r}: pass a gene's name")
    if protocol == "original" and panel is not None:
        raise ValueError("protocol='original' (--protocol original) predicts one gene: pass gene= "
                         "(--gene), or pass panel= (--panel) with another protocol")  # fmt: skip
    if protocol != "original" and gene is not None:
        raise ValueError("gene= (--gene) works only with protocol='original' (--protocol original): for "
                         f"{protocol!r}, name genes as panel= (--panel)")  # fmt: skip
    if protocol != "neighbours" and near:
        raise ValueError("k= (--k) and keys= (--keys) work only with protocol='neighbours' (--protocol neighbours)")
    if train is not None and (protocol != "original" or test is None):
        raise ValueError("train= (--train) works only with protocol='original' (--protocol original) "
                         "and test= (--test); other protocols train on all slides that are not tested")  # fmt: skip
    if test is not None and train is None and (protocol not in ("fixed", "neighbours") or folds):
        raise ValueError("test= (--test) works only with protocol='fixed' (--protocol fixed) or "
                         "protocol='neighbours' (--protocol neighbours), and without folds= (--folds)")  # fmt: skip


def _groups(
    protocol: str, slides: list[EmbeddedSlide], split: str, patients: str | Path | None, no_study: str | None
) -> dict[str, str]:
    """Return slide name → the group that is held out as a whole; "original" holds out none."""
    if protocol == "original":
        return {}
    if protocol == "hest":
        return hest_groups([one.slide for one in slides], str(patients) if patients else None, no_study)
    return split_groups([one.slide for one in slides], grouping(split, patients, no_study))


def _config(protocol: str, gene: str, split: str, genes: dict[str, Any], task: PredictionTask) -> dict[str, Any]:
    """Return the values that decide the figures, besides the data."""
    if protocol == "original":
        return {"gene": gene, "alphas": ALPHAS, "normalise": "median-log1p", "split": "random"} | (
            {"train": task.source, "test": sorted(task.tested)} if task.source else {}
        )
    if protocol == "hest":
        return genes | {"normalise": "log1p", "components": HEST_PCA, "split": "study and patient"}
    nan = "genes constant in the truth are left out and counted; constant predictions score 0"
    own = {"normalise": "median-log1p", "alphas": WIDE_ALPHAS, "split": split, "nan": nan}
    own |= {"test": sorted(task.tested)} if task.tested else {}
    near = {"k": task.k, "keys": task.keys.model if task.keys else "their own", "similarity": "cosine"}
    return genes | own | (near if protocol == "neighbours" else {})


def _data(root: Root, chosen: ChosenSlides) -> dict[str, Any]:
    """Return the identity of the data."""
    read, keys = chosen.embeddings, chosen.keys
    used = [read.take(read.slides == one.slide.name) for one in chosen.slides]
    by_slide = {str(one.slides[0]): data_identity(one.spot_ids, embeddings=one) for one in used}
    parts = root.names_by_split({one.slide.name for one in chosen.slides})
    found_by = {} if keys is None else {"keys_sha256": vectors_digest(keys.take(np.isin(keys.slides, [*by_slide])))}
    return {"model": read.model, "slides": len(used), "by_slide": by_slide, "parts": parts, "seen": chosen.seen,
            **found_by}  # fmt: skip


def _write(
    out: Path, protocol: str, config: dict, outcome: PredictionScores, data: dict[str, Any], seconds: float
) -> Path:
    seeds = SEEDS if protocol == "original" else [0]
    return write_scores(out, *expression_protocol(protocol), config, data, seeds, PACKAGES, seconds, outcome.slides,
                         outcome.overall)  # fmt: skip


def expression_protocol(protocol: str) -> tuple[str, int]:
    """Return the name in results of a protocol of `predict`, and its version."""
    return f"expression-{protocol}", PREDICTIONS[protocol]


def _draw(prediction: SlidePrediction, out: Path, protocol: str, gene_table: str | None) -> list[Path]:
    """Map a slide that was not trained on: measured expression above the predicted."""
    one = prediction.spots
    title = f"{one.slide.name}\npredicted from {prediction.trained_on}"
    genes = titles_of(prediction.genes, gene_table, one.slide.species)
    unit = UNITS["log1p" if protocol == "hest" else "median-log1p"]
    scores = fair_pearson(prediction.truth, prediction.predicted)
    figure = prediction_maps(title, mapped_shapes(*spots_of(one)), genes, prediction.truth, prediction.predicted,
                             scores, unit)  # fmt: skip
    return save(figure, out / f"map_{one.slide.name}")
