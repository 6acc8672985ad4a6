"""A digest of the code that makes examples: a data set prepared by another version of the code is not reused."""

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[1]


@cache
def source_digest(script: str) -> str:
    """Return a digest of a builder's file, the modules of this package that it imports at any depth, and tables."""
    modules = sources(Path(script))
    tables = sorted(table for folder in {path.parent for path in modules[1:]} for table in folder.glob("*.csv"))
    contents = [path.read_bytes() for path in [*modules, *tables]]
    return hashlib.sha256(b"\0".join(contents)).hexdigest()


def sources(script: Path) -> list[Path]:
    """Return a Python file and, sorted, the files of this package that it imports, directly or not."""
    found: set[Path] = set()
    new = {script}
    while new:
        found |= new
        new = {path for file in new for path in _imported(file)} - found
    return [script, *sorted(found - {script})]


def _imported(file: Path) -> Iterator[Path]:
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            yield from _files_of(name)


def _files_of(module: str) -> Iterator[Path]:
    """Yield the file of a module of this package, and those of the packages that it is in."""
    package, *parts = module.split(".")
    if package != PACKAGE.name:
        return
    for n in range(len(parts) + 1):
        place = PACKAGE.joinpath(*parts[:n])
        yield from (path for path in (place / "__init__.py", place.with_suffix(".py")) if path.is_file())
