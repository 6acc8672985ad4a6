"""The scores that probes, predictions and retrieval return."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from stimage.core.errors import DataError
from stimage.evaluation.results import read_scores
from stimage.evaluation.saved.manifest import seal
from stimage.evaluation.saved.predictions import PREDICTIONS
from stimage.evaluation.saved.regressors import REGRESSORS
from stimage.evaluation.tables.forms import SCORE_COLUMNS, score_rows, write_csv
from stimage.jobs.roots import Root
from stimage.slides.catalog import Slide
from stimage.slides.names import fold_name, slide_names
from stimage.slides.splits.splitting import SPLIT_BY, Splitting


@dataclass(frozen=True)
class Scores:
    """Scores of embeddings; docs/reference/protocols.md explains the figures of each protocol.

    Attributes
    ----------
    overall
        Scores over all slides, as in results.json.
    slides
        Scores of each slide, by name.
    notes
        Remarks: what was left out, and what to keep in mind.
    path
        The file results.json, or None if nothing was written.
    """

    overall: Mapping[str, Any]
    slides: Mapping[str, Any]
    notes: tuple[str, ...] = ()
    path: Path | None = field(default=None)

    @property
    def table(self) -> pd.DataFrame:
        """All scores as a table, one row each.

        ``scope`` is a slide or "overall"; then ``figure``, ``value``, ``std``, the 95 % interval ``low`` to ``high``,
        and the number of ``groups`` that the interval is over.
        """
        return pd.DataFrame(score_rows(self.slides, self.overall), columns=list(SCORE_COLUMNS))


def grouping(split: str, patients: str | Path | None, no_study: str | None) -> Splitting:
    """Return the groups that ``split`` holds out as a whole; none for other splits."""
    by = split if split in SPLIT_BY else None
    return Splitting(by, patients=patients if by == "patient" else None, no_study=no_study if by == "study" else None)


def with_patients(config: dict[str, Any], root: Root, patients: str | Path | None) -> dict[str, Any]:
    """Return a protocol's configuration with the digest of the table of patients, if there is one."""
    if table := patients or root.splitting.patients:
        config["patients_sha256"] = hashlib.sha256(Path(table).read_bytes()).hexdigest()
    return config


def sealed(path: Path, beside: Iterable[Path] = ()) -> Path:
    """Finish a folder of results: write results.csv beside results.json, and the digests of all their files.

    Parameters
    ----------
    path
        The file results.json.
    beside
        Further files of the results, such as pictures. Predictions and regressors need not be named.

    Returns
    -------
    Path
        The file results.json.
    """
    folder = path.parent
    write_csv(path.with_suffix(".csv"), read_scores(path))
    known = [path, path.with_suffix(".csv"), folder / PREDICTIONS, *sorted((folder / REGRESSORS).glob("*.safetensors"))]
    seal(folder, [file for file in (*known, *beside) if file.exists()])
    return path


def tested_slides(
    test: str | Path | Sequence[str] | None, slides: Sequence[Slide], option: str = "test= (--test)"
) -> list[str]:
    """Return the names of the slides that are tested at once; none where each group is held out in turn.

    Raises
    ------
    DataError
        If one is not among ``slides``.
    """
    if test is None:
        return []
    wanted, found = slide_names(test), {fold_name(one.name): one.name for one in slides}
    if lost := [name for name in wanted if fold_name(name) not in found]:
        raise DataError(f"{option}: {lost[0]!r} is none of the {len(slides)} slides that have embeddings and are "
                        "meant")  # fmt: skip
    meant = set(map(fold_name, wanted))
    return [name for folded, name in found.items() if folded in meant]
