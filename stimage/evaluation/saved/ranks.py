"""Ranks of retrieval as a file, one row per spot, and the figures that follow from them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from stimage.evaluation.saved.rows import read_rows, write_rows
from stimage.scores.retrieval import Ranks, score_ranks

SCOPES, WAYS = ("within", "across"), ("a_to_b", "b_to_a")


def save_ranks(folder: Path, ids: np.ndarray, slides: np.ndarray, units: np.ndarray, ranks: Mapping[str, Ranks],
               ks: Sequence[int]) -> None:  # fmt: skip
    """Write the rank of each spot's partner: within its slide, and across all."""
    columns = {"spot_id": ids, "slide": slides, "group": units}
    columns |= {f"{scope}_{way}": getattr(ranks[scope], way) for scope in SCOPES for way in WAYS}
    write_rows(folder, pa.table(columns), {"name": "ranks", "k": list(ks)})


def ranked_scores(
    slides: np.ndarray, units: np.ndarray, ranks: Mapping[str, Ranks], ks: Sequence[int]
) -> tuple[dict, dict]:
    """Return the figures of each slide, and overall, as `stimage.jobs.retrieve` reports them."""
    by_slide = {}
    for name in np.unique(slides).tolist():
        mine = slides == name
        by_slide[name] = score_ranks(ranks["within"].take(mine), None, ks)
    within, across = (score_ranks(ranks[scope], of, ks, units) for scope, of in (("within", slides), ("across", None)))
    return by_slide, {"within": within, "across": across}


def score_ranks_again(folder: Path) -> tuple[dict, dict]:
    """Return the figures that a folder's ranks give; raises `DataError` if their file is damaged."""
    table, told = read_rows(folder)
    slides, units = (np.array(table[name].to_pylist(), str) for name in ("slide", "group"))
    ranks = {scope: Ranks(*(table[f"{scope}_{way}"].to_numpy() for way in WAYS)) for scope in SCOPES}
    return ranked_scores(slides, units, ranks, told["k"])
