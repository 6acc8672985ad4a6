"""Digests of the files of results, beside them: a single altered byte is found."""

import hashlib
import json
import logging
from collections.abc import Iterable
from pathlib import Path

from stimage.core.errors import DataError, one_line
from stimage.core.files import listed, write_text

MANIFEST = "manifest.json"
EMBEDDINGS = "embeddings"  # the folder in which a benchmark keeps those of each encoder; a copy may lack it
PIECE = 1 << 20  # bytes
log = logging.getLogger(__name__)


def seal(folder: Path, files: Iterable[Path]) -> Path:
    """Write the manifest of a folder: the SHA-256 of some of its files, by their paths in it; return its path."""
    digests = {path.relative_to(folder).as_posix(): _digest(path) for path in files}
    path, text = folder / MANIFEST, json.dumps({"sha256": dict(sorted(digests.items()))}, indent=1, ensure_ascii=False)
    if not path.exists() or path.read_bytes() != f"{text}\n".encode():
        write_text(path, f"{text}\n")
    return path


def seal_all(folder: Path) -> Path:
    """Write the manifest of a folder with folders of results: all files in it that no manifest below has."""
    below = [path for path in listed(folder, f"**/{MANIFEST}") if path.parent != folder]
    sealed = {folder / MANIFEST, *(path.parent / name for path in below for name in _read(path))}
    return seal(folder, [path for path in listed(folder, "**/*") if path.is_file() and path not in sealed])


def seal_more(folder: Path, files: Iterable[Path]) -> Path:
    """Add files to the manifest of a folder."""
    return seal(folder, {*(folder / name for name in _read(folder / MANIFEST)), *files})


def check_seal(folder: Path) -> list[str]:
    """Return, in words, which files of a folder differ from its manifest.

    Raises
    ------
    DataError
        If there is no manifest, or it is damaged.
    """
    wrong, known = [], _read(folder / MANIFEST)
    if any(name.startswith(f"{EMBEDDINGS}/") for name in known) and not (folder / EMBEDDINGS).is_dir():
        log.warning("%s: has no folder %s: its files are not held against their digests", folder, EMBEDDINGS)
        known = {name: digest for name, digest in known.items() if not name.startswith(f"{EMBEDDINGS}/")}
    for name, digest in known.items():
        if not (folder / name).is_file():
            wrong.append(f"{folder / name}: is missing")
        elif _digest(folder / name) != digest:
            wrong.append(f"{folder / name}: is not the file that was written with the results: its bytes differ")
    return wrong


def _read(path: Path) -> dict[str, str]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8"))["sha256"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(f"{path}: cannot be read as a manifest ({one_line(error)}); make the results again") from None


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            digest.update(piece)
    return digest.hexdigest()
