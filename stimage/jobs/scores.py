"""What probes, predictions and retrieval return, and what they have in common."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from stimage.evaluation.tables.forms import SCORE_COLUMNS, score_rows
from stimage.jobs.roots import Root
from stimage.slides.splits.splitting import SPLIT_BY, Splitting


@dataclass(frozen=True)
class Scores:
    """Scores of embeddings; see docs/reference/protocols.md for what each protocol gives.

    Attributes
    ----------
    overall
        Scores of all slides, as results.json has them.
    slides
        Scores of each slide, by name.
    notes
        What was left out, and what is to be kept in mind.
    path
        The file results.json, or None if it was not asked for.
    """

    overall: Mapping[str, Any]
    slides: Mapping[str, Any]
    notes: tuple[str, ...] = ()
    path: Path | None = field(default=None)

    @property
    def table(self) -> pd.DataFrame:
        """All scores, a row each: ``scope`` (a slide, or "overall"), ``figure``, ``value``, ``std``, and of the 95 %
        interval ``low``, ``high`` and the number of ``groups`` that it is over."""
        return pd.DataFrame(score_rows(self.slides, self.overall), columns=list(SCORE_COLUMNS))


def grouping(split: str, patients: str | Path | None, no_study: str | None) -> Splitting:
    """Return what is held out as a whole, as ``split`` says; of other splits, nothing."""
    by = split if split in SPLIT_BY else None
    return Splitting(by, patients=patients if by == "patient" else None, no_study=no_study if by == "study" else None)


def with_patients(config: dict[str, Any], root: Root, patients: str | Path | None) -> dict[str, Any]:
    """Return a protocol's configuration with the digest of the table of patients, if there is one."""
    if table := patients or root.splitting.patients:
        config["patients_sha256"] = hashlib.sha256(Path(table).read_bytes()).hexdigest()
    return config
