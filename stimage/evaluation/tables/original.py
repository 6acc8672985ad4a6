"""Results of probes and of embedding scores as the tables of the data set's authors: their file names and columns."""

from collections.abc import Mapping

import pandas as pd

from stimage.core.errors import DataError

PROBE_FILE, SCORE_FILE = "linear_probing_result.csv", "silhouette_score.csv"
SCORES = {"silhouette": "silhouette_score", "calinski_harabasz": "Calinski-Harabasz_score",
          "davies_bouldin": "Davies-Bouldin_score"}  # fmt: skip


def original_tables(results: Mapping[str, Mapping]) -> dict[str, str]:
    """Return results.json by model, all of one protocol, as files in the authors' form: name → tab-separated text.

    For ``linear_probe/original``, the file is ``linear_probing_result.csv``, with one row per model and study: the
    chosen penalty, and mean and sample standard deviation of macro-F1 over splits, which the authors call ``wf1``. A
    study has the name of its publication; a slide without a known study has its own name. For ``embedding_scores``, the
    file is ``silhouette_score.csv``, with one row per model and slide.

    A study or slide that could not be scored has a row without values.

    Raises
    ------
    DataError
        If results are of another protocol, or do not say which slides a study has.
    """
    rows, name = [], ""
    for model, one in results.items():
        protocol, split = one["protocol"]["name"], one["protocol"]["config"].get("split")
        if (protocol, split) == ("linear_probe/original", "random"):
            name, own = PROBE_FILE, _probe_rows(model, one)
        elif protocol == "embedding_scores":
            name, own = SCORE_FILE, _score_rows(model, one)
        else:
            told = f"{protocol}, split by {split}," if split else protocol
            raise DataError(f"{model}: {told} has no table of the data set's authors; these have linear_probe.py by "
                            "protocol='original' (--protocol original) and split='random' (--split random), and "
                            "embedding_scores.py")  # fmt: skip
        rows += own
    return {name: pd.DataFrame(rows).to_csv(sep="\t", index=False)}


def _probe_rows(model: str, results: Mapping) -> list[dict]:
    studies = results["data"].get("studies")
    if studies is None:
        raise DataError(f"{model}: its results do not say which slides a study has: run linear_probe.py again")
    known = {slide for slides in studies.values() for slide in slides}
    entries = {study: results["overall"]["studies"].get(study) or results["slides"][slides[0]]
               for study, slides in studies.items()}  # fmt: skip
    entries |= {slide: entry for slide, entry in results["slides"].items() if slide not in known}
    return [_probe_row(model, name, entries[name].get("embedding")) for name in sorted(entries)]


def _probe_row(model: str, name: str, scores: Mapping | None) -> dict:
    """Return a row; of a study that could not be probed, without values."""
    alpha, f1 = (scores["alpha"][0], scores["macro_f1"]) if scores else (None, {"mean": None, "std": None})
    return {"model_name": model, "best_alpha": alpha, "mean_wf1": f1["mean"], "std_wf1": f1["std"], "data_name": name}


def _score_rows(model: str, results: Mapping) -> list[dict]:
    return [{"model": model} | {column: entry.get(score) for score, column in SCORES.items()} | {"slide": slide}
            for slide, entry in results["slides"].items()]  # fmt: skip
