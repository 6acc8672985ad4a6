"""The file results.json: the results of a job, and all that is needed to make them again."""

import hashlib
import json
import math
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from stimage.core.errors import DataError, one_line, unreadable
from stimage.core.files import write_text

RESULTS = "results.json"


def record_results(
    out: str | os.PathLike,
    kind: str,
    configuration: Mapping,
    seeds: Iterable[int],
    packages: Iterable[str],
    seconds: float,
    **found: Any,
) -> Path:
    """Write ``results.json`` into a folder, whole or not at all, and return its path.

    Parameters
    ----------
    kind, configuration
        The name of the configuration in the file, and all values that decide the results. Their digest is added as
        ``sha256``.
    packages
        Distributions whose versions are recorded, in addition to Python's.
    seconds
        Wall time.
    **found
        The results: ``slides`` has an entry per slide, ``overall`` the results over all. NaN and infinity become null.
    """
    path = Path(out) / RESULTS
    versions = {"python": platform.python_version(), **versions_of(packages)}
    known = {kind: {**configuration, "sha256": digest_of(configuration)}, "seeds": list(seeds), "versions": versions}
    write_text(path, as_json(known | {"seconds": round(seconds, 3)} | found))
    return path


def read_results(path: str | os.PathLike, needs: Sequence[str] = ()) -> dict:
    """Read a ``results.json``, or the one in a folder.

    Parameters
    ----------
    needs
        Keys that the file must have.

    Raises
    ------
    DataError
        If the file is not such a file, or lacks a key.
    """
    path = Path(path)
    path = path / RESULTS if path.is_dir() else path
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise unreadable(path, error, f"cannot be read as results ({one_line(error)})") from None
    if missing := [key for key in needs if not isinstance(results, dict) or key not in results]:
        raise DataError(f"{path}: has no {missing[0]!r}: it is not of this project's evaluation")
    return results


def digest_of(value: Mapping) -> str:
    """Return the SHA-256 of a value as JSON with sorted keys."""
    text = json.dumps(plain(value), sort_keys=True, ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def as_json(value: Any) -> str:
    """Return a value as the text of a JSON file, after `plain`."""
    return json.dumps(plain(value), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def plain(value: Any) -> Any:
    """Turn NumPy's values into JSON's, and NaN and infinity into None."""
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, np.ndarray | list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def versions_of(packages: Iterable[str]) -> dict[str, str | None]:
    """Return the versions of packages, None for a package that is not installed, such as this project in a clone."""
    return {package: _version(package) for package in packages}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
