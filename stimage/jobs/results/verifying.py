"""Compute results of any kind again."""

import logging
from collections.abc import Sequence
from pathlib import Path

from stimage.core.arguments import path_of
from stimage.core.errors import DataError, shown
from stimage.core.files import listed
from stimage.core.results import RESULTS
from stimage.evaluation.results import read_scores
from stimage.evaluation.saved.manifest import EMBEDDINGS, MANIFEST, check_seal
from stimage.evaluation.saved.regressors import REGRESSORS
from stimage.evaluation.saved.verifying import verify_results
from stimage.jobs.benchmarks.hest import PROTOCOL
from stimage.jobs.benchmarks.page.tables import UNITS, check_tables
from stimage.jobs.benchmarks.running import ASKED
from stimage.jobs.probing import RETRIEVAL

log = logging.getLogger(__name__)


def verify(folder: str | Path, embeddings: str | Path | None = None) -> list[str]:
    """Compute results again from the predictions beside them, and compare all files with their digests.

    The tables of a benchmark are made again from its results.

    Parameters
    ----------
    folder
        A folder that `probe`, `predict`, `retrieve` or `benchmark` wrote.
    embeddings
        The embeddings that were scored, a folder or a file: the saved regressors are applied to them, too. None takes
        the embeddings that a benchmark keeps.

    Returns
    -------
    list of str
        The differences, in words. The list is empty if all figures follow from the predictions, and no file was
        altered.

    Raises
    ------
    DataError
        If there are no such results, or a file is missing or damaged.

    Examples
    --------
    >>> import stimage
    >>> stimage.verify("benchmarked")
    []
    """
    folder = path_of(folder, "folder")
    places = [path.parent for path in listed(folder, f"**/{RESULTS}")]
    if not places:
        raise DataError(f"{folder}: has no {RESULTS}; pass a folder that an evaluation wrote")
    given = None if embeddings is None else path_of(embeddings, "embeddings")
    if given is not None and not given.exists():
        raise DataError(f"{given}: there is no such file or folder of embeddings")
    whole = [] if folder in places else _sealed_whole(folder, places)
    unused = []
    for place in places:
        known = given or _kept(folder, place)
        unused += [place] if known is None and (place / REGRESSORS).is_dir() else []
        whole += [f"{place}: {one}" for one in verify_results(place, known)]
    if unused:
        log.warning("%s: regressors are not applied: there are no embeddings of theirs; pass embeddings= "
                    "(--embeddings)", shown(list(map(str, unused)), 3))  # fmt: skip
    try:
        return whole + check_tables(folder)
    except DataError as error:
        if not whole:
            raise
        return [*whole, str(error)]


def _sealed_whole(folder: Path, places: Sequence[Path]) -> list[str]:
    """Return what of a folder of many results is missing, or differs from its digests, in words."""
    tops = {place.parent.parent.parent for place in places if _is_of_benchmark(place)}  # OUT of OUT/TASK/UNIT/ENCODER
    tops |= {folder} if (folder / UNITS).exists() else set()
    wrong = [f"{top / MANIFEST}: is missing: the benchmark was not ended, or the file was taken away; run it again: "
             "what is there is kept" for top in sorted(tops)
             if folder in (top, *top.parents) and not (top / MANIFEST).exists()]  # fmt: skip
    lost = [path.parent for path in listed(folder, f"*/**/{MANIFEST}") if path.parent not in places]
    sealed = [folder] if (folder / MANIFEST).exists() else []
    return wrong + [one for place in (*sealed, *lost) for one in check_seal(place)]


def _is_of_benchmark(place: Path) -> bool:
    return (place / ASKED).exists() or read_scores(place)["protocol"].get("name") == PROTOCOL


def _kept(folder: Path, place: Path) -> Path | None:
    """Return the embeddings that a benchmark kept of the encoder of some results, OUT/TASK/UNIT/ENCODER."""
    name, kept = read_scores(place)["protocol"].get("name"), folder / EMBEDDINGS / place.name
    of_kind = {RETRIEVAL[0]: kept.with_name(f"{kept.name}.joint"), PROTOCOL: kept / place.parent.parent.name}
    return path if (path := of_kind.get(name, kept)).is_dir() else None
