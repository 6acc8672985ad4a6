"""Results as protocol cards: scores with all that must be known to compare them."""

import hashlib
import json
import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from stimage.core.errors import DataError
from stimage.core.files import replacing
from stimage.core.versions import versions_of
from stimage.evaluation.embeddings import Embeddings

RESULTS = "results.json"
KEYS = ("protocol", "data", "seeds", "versions", "seconds", "slides", "overall")


def write_results(
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
        What decides the figures beside the data; no paths. Its digest is written as ``sha256``.
    data
        What was measured: see `data_identity`.
    packages
        Distributions whose versions are recorded.
    slides, overall
        Figures by slide, and of all slides. NaN and infinity are written as null.
    """
    protocol = {"name": name, "version": number, "config": _plain(config)}
    results = {
        "protocol": protocol | {"sha256": digest_of(protocol)},
        "data": data,
        "seeds": list(seeds),
        "versions": versions_of(packages),
        "seconds": round(seconds, 3),
        "slides": slides,
        "overall": overall,
    }
    path = Path(out) / RESULTS
    with replacing(path) as unfinished:
        text = json.dumps(_plain(results), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        unfinished.write_text(text, encoding="utf-8")
    return path


def read_results(path: str | os.PathLike) -> dict:
    """Read a ``results.json``, or the one in a folder.

    Raises
    ------
    DataError
        If it is no such file.
    """
    path = Path(path)
    path = path / RESULTS if path.is_dir() else path
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: cannot be read as results ({error})") from None
    if missing := [key for key in KEYS if not isinstance(results, dict) or key not in results]:
        raise DataError(f"{path}: has no {missing[0]!r}: it is not of this project's evaluation")
    return results


def data_identity(
    spot_ids: np.ndarray, *values: np.ndarray, embeddings: Embeddings | None = None, **facts: object
) -> dict:
    """Return what identifies data.

    Parameters
    ----------
    spot_ids
        The n spots that figures are of.
    *values
        What is the same whatever the model: labels, expression. Results of other spots or values are not comparable.
    embeddings
        What is the model's own: its name and a digest of its vectors stand apart.

    Returns
    -------
    dict
        ``spots``, their number; ``sha256`` of ids and values; ``model``, ``dimensions`` and ``embeddings_sha256``;
        other facts.
    """
    identity = {"spots": len(spot_ids), "sha256": _digest(np.asarray(spot_ids), *values)}
    if embeddings is not None:
        identity |= {"model": embeddings.model, "dimensions": embeddings.vectors.shape[1]}
        identity |= {"embeddings_sha256": _digest(embeddings.spot_ids, embeddings.vectors)}
    return identity | facts


def _digest(*arrays: np.ndarray) -> str:
    digest = hashlib.sha256()
    for array in map(np.asarray, arrays):
        digest.update("\n".join(map(str, array.tolist())).encode() if array.dtype.kind in "OU" else array.tobytes())
    return digest.hexdigest()


def digest_of(value: Mapping) -> str:
    """Return the SHA-256 of a value as JSON with sorted keys."""
    text = json.dumps(_plain(value), sort_keys=True, ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any) -> Any:
    """Turn NumPy's values into JSON's, and numbers that are not finite into None."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, np.ndarray | list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
