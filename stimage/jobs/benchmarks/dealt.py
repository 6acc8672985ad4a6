"""STImage-Bench's protocol as a job of tasks."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from stimage.cells.features import nuclei_of_slides
from stimage.core.arguments import check_whole
from stimage.evaluation.expression import WIDE_ALPHAS
from stimage.evaluation.expression_data import embedded_slides
from stimage.evaluation.results import data_identity, write_scores
from stimage.evaluation.seen import settle_seen
from stimage.evaluation.stimage_bench.running import SEEDS, run_stimage_bench
from stimage.jobs.roots import Root, open_unpublished
from stimage.jobs.scores import Scores, sealed
from stimage.loading.embeddings import Embeddings, read_embeddings
from stimage.slides.missing import need_counts

DEALT = ("stimage-bench", 4)  # the protocol and its version; 3 took seeds whose test slides share a study as groups
PACKAGES = ("stimage-1k4m", "numpy", "scipy")


def predict_dealt(
    root: str | Path | Root,
    embeddings: str | Path | pd.DataFrame | Embeddings,
    *,
    n: int = 50,
    seeds: Sequence[int] = SEEDS,
    seen: str = "error",
    out: str | Path | None = None,
) -> Scores:
    """Predict expression as STImage-Bench does: see `run_stimage_bench`.

    Parameters
    ----------
    root, embeddings, seen, out
        As `predict` takes them.
    n
        Genes to choose.
    seeds
        Seeds of the dealing, each once.

    Returns
    -------
    Scores
        ``overall["pooled"]["pearson"]`` is the mean over the seeds; ``per_slide`` that over slides, with an
        interval over studies.

    Raises
    ------
    DataError
        As `predict` does, and if there are fewer than three slides.
    ValueError
        If ``n`` is no whole number of 1 or more, or ``seeds`` are not whole numbers, each once.
    """
    check_dealt(n, seeds)
    seeds = list(seeds)
    began, root = time.monotonic(), open_unpublished(root)
    read = read_embeddings(embeddings, [slide.name for slide in root.catalog.slides])
    slides, without = embedded_slides(read, root.catalog.slides, root.slides)
    need_counts((one.slide for one in slides), "measuring predictions")
    scored = settle_seen(read.provenance, [one.slide for one in slides], seen, read.model)
    slides = [one for one in slides if one.slide in scored.slides]
    nuclei, partly = nuclei_of_slides(root.catalog.root, [one.slide for one in slides])
    found, path = run_stimage_bench(slides, n, seeds, None if out is None else Path(out), nuclei), None
    if out is not None:
        config = {"genes": n, "normalise": "log1p", "alphas": WIDE_ALPHAS, "split": "slides dealt 8:1:1"}
        used = [read.take(read.slides == one.slide.name) for one in slides]
        by_slide = {str(one.slides[0]): data_identity(one.spot_ids, embeddings=one) for one in used}
        data = {"model": read.model, "slides": len(slides), "by_slide": by_slide, "seen": scored.seen}
        data |= {"nuclei": nuclei.about} if nuclei else {}
        path = write_scores(out, *DEALT, config, data, seeds, PACKAGES, time.monotonic() - began,
                            found.slides, found.overall)  # fmt: skip
        sealed(path)
    lost = (f"{len(without)} slides have no embeddings and are left out: {', '.join(without[:10])}",) if without else ()
    return Scores(found.overall, found.slides, (*scored.notes, *partly, *lost), path)


def check_dealt(n: Any, seeds: Any) -> None:
    """Refuse, with a `ValueError`, options of `predict_dealt` that cannot be, whatever the slides."""
    check_whole(n, "n", 1, of="genes")
    good = isinstance(seeds, list | tuple) and seeds and all(type(one) is int and one >= 0 for one in seeds)
    if not good or len({*seeds}) < len(seeds):
        raise ValueError(f"seeds={seeds!r}: pass a list of whole numbers of 0 or more, each once")
