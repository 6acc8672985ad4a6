"""Names as arguments, and as folders."""

import re
from collections.abc import Iterable
from pathlib import Path


def names_of(names: str | Path | Iterable[str | Path]) -> list[str]:
    """Return one name, or several, as a list of texts, each once."""
    return list(dict.fromkeys([str(names)] if isinstance(names, str | Path) else map(str, names)))


def folder_name(name: str) -> str:
    """Return a name as a folder can be called."""
    return re.sub(r"[^\w.+-]+", "_", name).strip("._") or "unnamed"
