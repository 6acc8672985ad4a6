"""The language of docstrings: those of all that a room offers, of its modules, and of scripts."""

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.test_language import described, faults

PROJECT = Path(__file__).parents[1]
ROOMS = sorted(path.parent for path in (PROJECT / "stimage").glob("*/__init__.pyi"))
CLAUSE = re.compile(r"^(?:What|Which|How|Where|Whether|Why|Who|When|Of|If|That|It|Its|They|Else)\b")
TRUTH = re.compile(r"^Whether\b")  # as a property that is true or false says
Named = tuple[str, ast.AST]


def offered(room: Path) -> dict[Path, set[str]]:
    """Return module → the names of it that a room's stub offers."""
    found: dict[Path, set[str]] = {}
    for node in ast.parse((room / "__init__.pyi").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and node.module:
            path = room / node.module.replace(".", "/")
            module = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
            found.setdefault(module, set()).update(alias.name for alias in node.names)
    return found


def documented(module: Path, names: set[str]) -> Iterator[Named]:
    """Yield a module, its functions and classes of these names, and the classes' public methods."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    where = module.relative_to(PROJECT).as_posix()
    yield where, tree
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name in names:
            yield f"{where}: {node.name}", node
            for one in node.body if isinstance(node, ast.ClassDef) else []:
                if isinstance(one, ast.FunctionDef) and not one.name.startswith("_"):
                    yield f"{where}: {node.name}.{one.name}", one


def wrong(where: str, node: ast.AST) -> list[str]:
    """Return what is wrong with a docstring; a method that overrides another need not have one."""
    text = ast.get_docstring(node)  # type: ignore[arg-type]
    if text is None:
        return [] if where.count(".") > 1 else [f"{where}: has no docstring"]
    paragraphs = described(text)
    first = inspect.cleandoc(text).split("\n\n")[0]
    found = [f"{where}: {fault}" for fault in faults(paragraphs) if not fault.startswith("a paragraph begins")]
    is_property = isinstance(node, ast.FunctionDef) and bool(node.decorator_list)
    if CLAUSE.match(first) and not (is_property and TRUTH.match(first)):
        found.append(f"{where}: begins with a clause, and names no subject: {first}")
    if not first.rstrip().endswith((".", "!", "?", ":")):
        found.append(f"{where}: its first sentence has no end: {first}")
    return found


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.name)
def test_what_a_room_offers_is_described(room):
    everything = [one for module, names in offered(room).items() for one in documented(module, names)]
    assert not [fault for where, node in everything for fault in wrong(where, node)]


def test_the_builder_and_scripts_are_described():
    builder = PROJECT / "stimage_1k4m.py"
    names = {node.name for node in ast.parse(builder.read_text(encoding="utf-8")).body if hasattr(node, "name")}
    everything = list(documented(builder, names))
    everything += [one for path in sorted((PROJECT / "scripts").rglob("*.py")) for one in documented(path, set())]
    assert len(everything) > 40
    assert not [fault for where, node in everything for fault in wrong(where, node) if "more than" not in fault]


def test_what_is_unclear_is_found():
    def faults_of(text: str) -> list[str]:
        return wrong("module.py: name", ast.parse(f'def name():\n    """{text}"""').body[0])

    assert "no subject" in faults_of("How a model learns.")[0]
    assert "no end" in faults_of("Return the genes")[0]
    assert "of which" in faults_of("Return slides, of which the counts are known.")[0]
    assert "more than" in faults_of(f"Return {'a word ' * 30}here.")[0]
    assert faults_of("Return the genes of a slide.") == []
