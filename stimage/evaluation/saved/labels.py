"""Predicted labels of spots as a file, and their scores, slide by slide, study by study and pooled."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from stimage.evaluation.saved.rows import read_rows, write_rows
from stimage.scores.intervals import paired_difference
from stimage.scores.probe_scores import FoldPredictions, summarise

CLASSIFIERS = ("embedding", "majority", "position", "colour", "nuclei")
TEXTS = ("spot_id", "slide", "block", "group")


@dataclass(frozen=True)
class ProbeScores:
    """Scores by slide, by study and over all spots; see `stimage.scores.probe_scores.summarise`.

    Each has ``spots``, ``classes`` (label → spots) and one entry a classifier; or ``left_out``, why there are none.
    """

    slides: Mapping[str, dict] = field(default_factory=dict)
    studies: Mapping[str, dict] = field(default_factory=dict)
    pooled: Mapping[str, dict] = field(default_factory=dict)

    @property
    def overall(self) -> dict:
        """The scores over all slides, as results have them."""
        return {"pooled": self.pooled, "studies": self.studies}


@dataclass(frozen=True, eq=False)
class Probed:
    """What classifiers say of the n test spots of some slides, fold by fold.

    ``facts`` are the scope's ``slides``, ``spots``, ``classes`` (label → spots) and ``alphas`` (by classifier); or, in
    place of the latter two, ``left_out``, why nothing is said. ``texts`` has each spot's id, slide, block and group
    (str, n); ``folds`` and ``labels``, a class's number, are int (n); ``said`` is classifier → scores (n x classes).
    """

    facts: Mapping[str, Any]
    texts: Mapping[str, np.ndarray] = field(default_factory=dict)
    folds: np.ndarray = field(default_factory=lambda: np.zeros(0, int))
    labels: np.ndarray = field(default_factory=lambda: np.zeros(0, int))
    said: Mapping[str, np.ndarray] = field(default_factory=dict)

    def entry(self, units: str, all_named: bool, slides: Sequence[str] | None = None) -> dict:
        """Return the scores of the spots, or of those of some slides as one fold; intervals are over ``units``."""
        if "left_out" in self.facts:
            return {key: self.facts[key] for key in ("spots", "left_out")}
        mine = np.isin(self.texts["slide"], slides) if slides else np.ones(len(self.labels), bool)
        spots, classes = self.facts["spots"], self.facts["classes"]
        if slides:
            sizes = np.bincount(self.labels[mine], minlength=len(classes)).tolist()
            spots, classes = int(mine.sum()), dict(zip(classes, sizes))
        folds = np.zeros(mine.sum(), int) if slides else self.folds
        rows = [np.flatnonzero(folds == fold) for fold in range(folds.max(initial=0) + 1)]
        labels, groups = self.labels[mine], self.texts[units][mine]
        return {"spots": spots, "classes": classes} | {
            name: summarise(FoldPredictions(rows, [said[mine][r] for r in rows], self.facts["alphas"][name]), labels,
                            groups, all_named)
            for name, said in self.said.items()
        }  # fmt: skip


def probe_scores(told: Mapping[str, Any], scopes: Sequence[Probed]) -> ProbeScores:
    """Return the scores of probes.

    Parameters
    ----------
    told
        ``slides``, names; ``studies``, study → names; ``within``, whether each scope has probes of its own; and
        ``all_named``, see `stimage.scores.probe_scores.macro_f1`.
    scopes
        Of ``within``, one for each set of slides; else the one of all.
    """
    named = told["all_named"]
    if not told["within"]:
        (every,) = scopes
        slides = {name: every.entry("block", named, [name]) for name in told["slides"]}
        studies = {study: every.entry("block" if len(names) == 1 else "slide", named, names)
                   for study, names in told["studies"].items()}  # fmt: skip
        return ProbeScores(slides, studies, _above(every.entry("group", named)))
    of = {tuple(one.facts["slides"]): one.entry("block" if len(one.facts["slides"]) == 1 else "slide", named)
          for one in scopes}  # fmt: skip
    studies = {study: of[tuple(names)] for study, names in told["studies"].items() if len(names) > 1}
    return ProbeScores({name: of[name,] for name in told["slides"]}, studies, _above(of[tuple(told["slides"])]))


def save_labels(folder: Path, told: Mapping[str, Any], scopes: Sequence[Probed]) -> None:
    """Write a row a scope, fold and test spot: its label, and what each classifier says, with its scores."""
    parts = [_table(number, one) for number, one in enumerate(scopes) if one.said]
    write_rows(folder, pa.concat_tables(parts), {"name": "labels", **told, "scopes": [one.facts for one in scopes]})


def score_labels_again(folder: Path) -> tuple[Mapping, Mapping]:
    """Return the scores that a folder's predictions give; raises `DataError` if their file is damaged."""
    table, told = read_rows(folder)
    of = np.asarray(table["scope"])
    scopes = [_probed(facts, table.filter(of == number)) for number, facts in enumerate(told["scopes"])]
    found = probe_scores(told, scopes)
    return found.slides, found.overall


def _table(number: int, one: Probed) -> pa.Table:
    names, n = np.array(list(one.facts["classes"]), object), len(one.labels)
    columns: dict[str, Any] = {"scope": np.full(n, number, np.int32), "fold": one.folds.astype(np.int32)}
    columns |= {key: pa.array(one.texts[key].tolist(), pa.string()) for key in TEXTS}
    columns["label"] = pa.array(names[one.labels], pa.string())
    for name, said in one.said.items():
        columns[name] = pa.array(names[said.argmax(1)], pa.string())
        flat = np.ascontiguousarray(said, np.float64).ravel()
        columns[f"{name}_scores"] = pa.ListArray.from_arrays(np.arange(n + 1, dtype=np.int32) * len(names), flat)
    return pa.table(columns)


def _probed(facts: Mapping[str, Any], table: pa.Table) -> Probed:
    if "left_out" in facts:
        return Probed(facts)
    number = {name: k for k, name in enumerate(facts["classes"])}
    texts = {key: np.array(table[key].to_pylist(), str) for key in TEXTS}
    labels = np.array([number[label] for label in table["label"].to_pylist()])
    said = {name: _scores(table[f"{name}_scores"]) for name in CLASSIFIERS if name in table.column_names}
    return Probed(facts, texts, np.asarray(table["fold"]), labels, said)


def _scores(column: pa.ChunkedArray) -> np.ndarray:
    lists = column.combine_chunks()
    return lists.flatten().to_numpy(zero_copy_only=False).reshape(len(lists), -1)


def _above(pooled: dict) -> dict:
    """Add to scores how much the embedding's macro-F1 of all test spots is above each baseline's."""
    of = {name: pooled[name]["intervals"]["macro_f1_together"] for name in CLASSIFIERS if name in pooled}
    own = of.pop("embedding")
    apart = {name: paired_difference(own, one) for name, one in of.items()}
    return pooled | {"above": {name: one["value"] for name, one in apart.items()} | {"intervals": apart}}
