"""Compare results with what they were computed from: figures, digests, and predictions with their regressors."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stimage.core.errors import DataError
from stimage.core.results import digest_of, plain
from stimage.evaluation.results import read_scores, vectors_digest
from stimage.evaluation.saved.labels import score_labels_again
from stimage.evaluation.saved.manifest import check_seal
from stimage.evaluation.saved.predictions import PREDICTIONS, read_folds, read_told
from stimage.evaluation.saved.ranks import score_ranks_again
from stimage.evaluation.saved.regressors import read_regressors, regressor_file
from stimage.evaluation.saved.rows import read_rows
from stimage.evaluation.saved.scoring import SCORINGS, score_again
from stimage.evaluation.tables.forms import results_csv
from stimage.loading.embeddings import folders_of_kinds, read_embeddings

CLOSE = 1e-9  # of a figure that is computed again
AGAIN = 1e-4  # of a prediction that is made again; some libraries fit in single precision
APPLIED = ("embeddings", "gene_mean")  # predictors whose features embeddings are, or that have none
WHY = "no regressor of neighbours or trees is saved, and embeddings have no places, colours or nuclei"
log = logging.getLogger(__name__)


def verify_results(folder: Path, embeddings: Path | None = None) -> list[str]:
    """Compute the figures of a folder's results again from its predictions; return the differences, in words.

    Parameters
    ----------
    embeddings
        Files of the embeddings that were scored: the saved regressors are applied to them, too.

    Raises
    ------
    DataError
        If a file is missing, or so damaged that it can't be read.
    """
    results, wrong = read_scores(folder), check_seal(folder)
    protocol = {key: value for key, value in results["protocol"].items() if key != "sha256"}
    if results["protocol"].get("sha256") != digest_of(protocol):
        wrong.append("protocol: its configuration is not that of its digest")
    table = folder / "results.csv"
    if table.exists() and table.read_text(encoding="utf-8") != results_csv(results):
        wrong.append(f"{table}: is not the table of results.json")
    if not (folder / PREDICTIONS).exists():
        log.warning("%s: has no %s: its figures are not computed again", folder, PREDICTIONS)
        return wrong
    try:
        slides, overall = _again(folder)
        wrong += _differences("slides", results["slides"], plain(slides))
        wrong += _differences("overall", results["overall"], plain(overall))
        wrong += _held_against(folder, embeddings, results) if embeddings else []
    except DataError as error:
        if not wrong:
            raise
        wrong.append(str(error))
    return wrong


def _again(folder: Path) -> tuple[Mapping, Mapping]:
    name = read_told(folder)["name"]
    if name in SCORINGS:
        found = score_again(folder)
        return found.slides, found.overall
    return {"labels": score_labels_again, "ranks": score_ranks_again}[name](folder)


def _differences(where: str, said: Any, found: Any) -> Iterator[str]:
    """Yield how results differ from what is computed again, figure by figure."""
    if isinstance(said, Mapping) and isinstance(found, Mapping):
        for key in dict.fromkeys([*found, *said]):
            if key not in said or key not in found:
                yield f"{where}.{key}: is {'missing' if key not in said else 'not computed of the predictions'}"
            else:
                yield from _differences(f"{where}.{key}", said[key], found[key])
    elif isinstance(said, list) and isinstance(found, list) and len(said) == len(found):
        for k, pair in enumerate(zip(said, found)):
            yield from _differences(f"{where}.{k}", *pair)
    elif not _equal(said, found):
        yield f"{where}: {said}, but {found} by the predictions"


def _equal(said: Any, found: Any) -> bool:
    numbers = (int, float)
    if isinstance(said, numbers) and isinstance(found, numbers) and bool not in (type(said), type(found)):
        return abs(said - found) <= CLOSE * max(1, abs(found))
    return said == found


def _held_against(folder: Path, embeddings: Path, results: Mapping[str, Any]) -> Iterator[str]:
    """Yield how results differ from what embeddings give; what can't be held against these is told."""
    name = read_told(folder)["name"]
    if name in SCORINGS:
        yield from _predicted_again(folder, embeddings, results)
    elif name == "ranks":
        yield from _scored_vectors(folder, embeddings, results["data"])
    else:
        log.warning("%s: what is said of labels is not made again of the embeddings: no classifiers are saved", folder)


def _scored_vectors(folder: Path, embeddings: Path, data: Mapping[str, Any]) -> Iterator[str]:
    """Yield which of both kinds of embeddings in a folder are not those that were ranked."""
    if len(kinds := folders_of_kinds(embeddings)) != 2:
        log.warning("%s: is not held against %s, which has no folders of both kinds of embeddings", folder, embeddings)
        return
    table, _ = read_rows(folder)
    ids = np.array(table["spot_id"].to_pylist(), str)
    for path, key in zip(kinds, ("embeddings_sha256", "other_embeddings_sha256")):
        read = read_embeddings(path)
        of = {spot: row for row, spot in enumerate(read.spot_ids.tolist())}
        if lost := [spot for spot in ids.tolist() if spot not in of]:
            yield f"{path}: has no embedding of spot {lost[0]!r}, which was ranked"
        elif vectors_digest(read.take(np.array([of[spot] for spot in ids.tolist()]))) != data.get(key):
            yield f"{path}: are not the embeddings that were ranked: their digest is not {key} of results.json"


def _scored_slides(path: Path, slides: Sequence[str], by_slide: Mapping[str, Mapping]) -> Iterator[str]:
    """Yield of which slides embeddings are not those that were scored, by their digests."""
    read = read_embeddings(path, slides)
    for slide, said in by_slide.items():
        if vectors_digest(read.take(read.slides == slide)) != said.get("embeddings_sha256"):
            yield f"{path}: {slide}: are not the embeddings that were scored: their digest is not that of results.json"


def _predicted_again(folder: Path, embeddings: Path, results: Mapping[str, Any]) -> Iterator[str]:
    """Yield how saved predictions differ from what the saved regressors make of embeddings."""
    told, left = read_told(folder), set()
    slides = list(dict.fromkeys([*results["slides"], *told["groups"]]))
    vectors = _reader(embeddings, slides)
    for number, fold in enumerate(read_folds(folder, told)):
        if not (path := regressor_file(folder, number)).exists():
            left |= {name for one in fold.slides for name in one.said}
            continue
        models, facts = read_regressors(path)
        if facts != {"genes": fold.genes, **fold.facts}:
            yield f"{path}: is of another fold than the predictions"
        left |= {name for one in fold.slides for name in one.said if name not in models or name not in APPLIED}
        for one in fold.slides:
            x = vectors(one.slide, one.spot_ids)
            for name in (name for name in APPLIED if name in models and name in one.said):
                off = np.abs(models[name](x) - one.said[name])
                if not off.max(initial=0) <= AGAIN * max(1, np.abs(one.said[name]).max(initial=0)):  # or NaN
                    yield (f"fold {number}: {one.slide}: {name}: predictions differ by up to {off.max():.2g} from what "
                           f"{path.name} makes of {embeddings}")  # fmt: skip
    if "embeddings" in left:
        yield from _scored_slides(embeddings, slides, results["data"].get("by_slide", {}))
    if left:
        log.warning("%s: predictions of %s are not made again: %s", folder, ", ".join(sorted(left)), WHY)


def _reader(path: Path, slides: Sequence[str]) -> Callable[[str, np.ndarray], np.ndarray]:
    """Return what gives the vectors of some of a slide's spots; of a folder with a file a slide, that alone is read.

    By the names of ``slides``, a CSV without a column of slides can be read.
    """
    whole = None if path.is_dir() else read_embeddings(path, slides)

    def vectors(slide: str, ids: np.ndarray) -> np.ndarray:
        nonlocal whole
        own = path / f"{slide}.parquet"
        if whole is None and not own.exists():
            whole = read_embeddings(path)
        read = whole if whole is not None else read_embeddings(own)
        of = {spot: row for row, spot in enumerate(read.spot_ids.tolist())}
        if lost := [spot for spot in ids.tolist() if spot not in of]:
            raise DataError(f"{path}: has no embedding of spot {lost[0]!r} of {slide}, which was predicted; pass the "
                            "embeddings that were scored")  # fmt: skip
        return read.vectors[[of[spot] for spot in ids.tolist()]]

    return vectors
