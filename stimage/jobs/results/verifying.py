"""Compute results of any kind again."""

from pathlib import Path

from stimage.core.arguments import path_of
from stimage.core.errors import DataError
from stimage.core.files import listed
from stimage.core.results import RESULTS
from stimage.evaluation.saved.manifest import EMBEDDINGS, MANIFEST, check_seal
from stimage.evaluation.saved.verifying import verify_results
from stimage.jobs.benchmarks.page.tables import check_tables


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
    whole = check_seal(folder) if folder not in places and (folder / MANIFEST).exists() else []
    for place in places:
        whole += [f"{place}: {one}" for one in verify_results(place, given or _kept(folder, place))]
    try:
        return whole + check_tables(folder)
    except DataError as error:
        if not whole:
            raise
        return [*whole, str(error)]


def _kept(folder: Path, place: Path) -> Path | None:
    """Return the embeddings that a benchmark kept of the encoder of some results, OUT/TASK/UNIT/ENCODER."""
    kept = folder / EMBEDDINGS / place.name
    own = kept / place.parent.parent.name  # of HEST-Benchmark, a folder a task
    return next((path for path in (own, kept) if path.is_dir()), None)
