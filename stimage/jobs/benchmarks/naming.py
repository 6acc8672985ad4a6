"""Names as arguments, and as folders."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from stimage.towers.image_towers import UNTRAINED


def names_of(names: str | Path | Iterable[str | Path]) -> list[str]:
    """Return one name, or several, as a list of texts, each once."""
    return list(dict.fromkeys([str(names)] if isinstance(names, str | Path) else map(str, names)))


def folder_name(name: str) -> str:
    """Return a name as a folder can be called."""
    return re.sub(r"[^\w.+-]+", "_", name).strip("._") or "unnamed"


def short_names(names: Sequence[str]) -> dict[str, str]:
    """Return name → what to call it on a page: of a path, as many of its last parts as tell it from the others."""
    paths = {name: name.rpartition(":")[2] for name in names}
    parts = {path: Path(path).parts for path in paths.values()}
    called = {}
    for name, path in paths.items():
        prefix = name[: len(name) - len(path)].replace(UNTRAINED, "untrained ")
        called[name] = prefix + (_shortest(parts[path], [own for one, own in parts.items() if one != path])
                                 if Path(path).exists() else path)  # fmt: skip
    return called


def _shortest(own: Sequence[str], others: Sequence[Sequence[str]]) -> str:
    """Return as many last parts of a path as no other has."""
    n = next((n for n in range(1, len(own)) if not any(other[-n:] == own[-n:] for other in others)), len(own))
    return "/".join(own[-n:])
