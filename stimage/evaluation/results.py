"""Results as protocol cards: scores with all that is needed to compare them."""

import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from stimage.core.results import read_results, record_results
from stimage.loading.embeddings import Embeddings

KEYS = ("protocol", "data", "seeds", "versions", "seconds", "slides", "overall")


def write_scores(
    out: str | os.PathLike,
    name: str,
    number: int,
    config: Mapping,
    data: Mapping,
    seeds: Iterable[int],
    packages: Iterable[str],
    seconds: float,
    slides: Mapping[str, Mapping],
    overall: Mapping,
) -> Path:
    """Write ``results.json`` into a folder, and return its path.

    Parameters
    ----------
    name, number
        The protocol and its version; a change that changes figures makes a new version.
    config
        All values that decide the figures, besides the data; no paths. Their digest is written as ``sha256``.
    data
        The identity of the data: see `data_identity`.
    packages
        Distributions whose versions are recorded.
    slides, overall
        Figures by slide, and over all slides. NaN and infinity become null.
    """
    protocol = {"name": name, "version": number, "config": config}
    return record_results(
        out, "protocol", protocol, seeds, packages, seconds, data=data, slides=slides, overall=overall
    )


def read_scores(path: str | os.PathLike) -> dict:
    """Read a ``results.json`` of evaluation, or the one in a folder; `DataError` if it is not one."""
    return read_results(path, KEYS)


def data_identity(
    spot_ids: np.ndarray,
    *values: np.ndarray,
    embeddings: Embeddings | None = None,
    other: Embeddings | None = None,
    **facts: object,
) -> dict:
    """Return the values that identify data.

    Parameters
    ----------
    spot_ids
        The n spots of the figures.
    *values
        Arrays that are the same for any model: labels, expression. Results of other spots or values are not comparable.
    embeddings
        The embeddings of the model: its name and a digest of its vectors are recorded apart.
    other
        Embeddings of another kind that figures depend on, too, such as genes beside images.

    Returns
    -------
    dict
        ``spots``, their number; ``sha256`` of ids and values; ``model``, ``dimensions`` and ``embeddings_sha256``;
        ``other_model`` and ``other_embeddings_sha256``; other facts.
    """
    identity = {"spots": len(spot_ids), "sha256": _digest(np.asarray(spot_ids), *values)}
    if embeddings is not None:
        identity |= {"model": embeddings.model, "dimensions": embeddings.vectors.shape[1]}
        identity |= {"embeddings_sha256": vectors_digest(embeddings)}
    if other is not None:
        identity |= {"other_model": other.model, "other_embeddings_sha256": vectors_digest(other)}
    return identity | facts


def vectors_digest(embeddings: Embeddings) -> str:
    """Return the SHA-256 of ids and vectors, in their order."""
    return _digest(embeddings.spot_ids, embeddings.vectors)


def _digest(*arrays: np.ndarray) -> str:
    digest = hashlib.sha256()
    for array in map(np.asarray, arrays):
        digest.update("\n".join(map(str, array.tolist())).encode() if array.dtype.kind in "OU" else array.tobytes())
    return digest.hexdigest()
