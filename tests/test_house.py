"""The rooms of stimage import one way, and take of each other what is offered."""

import ast
import importlib
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
HOUSE = PROJECT / "stimage"
ROOMS = re.findall(r"^\| `(\w+)` \|", (PROJECT / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.M)
SEES = {room: {*ROOMS[: k + 1]} for k, room in enumerate(ROOMS)}  # itself, and those above it
SEES |= {room: SEES[room] | {"stimage_1k4m"} for room in ROOMS[ROOMS.index("loading") :]}  # the front door, as users do
MOST = 12  # files of a room, its __init__ not counted
USERS = ("stimage", "scripts", "metrics", "benchmarks")
GIVEN = ast.parse((HOUSE / "__init__.pyi").read_text(encoding="utf-8"))  # what `import stimage` gives


@cache
def imports(path: Path) -> list[tuple[str, str]]:
    """Return (module, name) of all that a file imports, wherever in it, and takes as `room.name`."""
    return list(_imports(path))


def _imports(path: Path) -> Iterator[tuple[str, str]]:
    tree, rooms = ast.parse(path.read_text(encoding="utf-8")), {f"stimage.{room}": room for room in ROOMS}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "stimage":  # from stimage import room
            rooms |= {alias.name: alias.name for alias in node.names if alias.name in ROOMS}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from ((node.module, alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and (room := rooms.get(ast.unparse(node.value))):
            yield f"stimage.{room}", node.attr


def room_of(module: str) -> str:
    """Return a room, or the front door itself."""
    return module.split(".")[1] if module.startswith("stimage.") else module


def offered(room: str) -> dict[str, str]:
    """Return the names that a room offers, and the module that each is of."""
    tree = ast.parse((HOUSE / room / "__init__.pyi").read_text(encoding="utf-8"))
    return {a.name: f"stimage.{room}.{node.module}" for node in tree.body for a in node.names}


def given() -> Iterator[tuple[str, ast.alias]]:
    """Yield the module, below stimage, and the name, of all that `import stimage` gives."""
    yield from ((node.module or "", a) for node in GIVEN.body if isinstance(node, ast.ImportFrom) for a in node.names)


def documented() -> Iterator[tuple[str, str]]:
    """Yield (module, name) of what documents and model cards import of the library."""
    for path in (PROJECT / "README.md", *(PROJECT / "docs").rglob("*.md"), HOUSE / "training/results.py"):
        for block in re.findall(
            r'^```python\n(.*?)^```|"""\\\n(.*?)"""', path.read_text(encoding="utf-8"), re.M | re.S
        ):
            for module, names in re.findall(r"^from (stimage\.[\w.]+) import (.+?)(?:  #.*)?$", "".join(block), re.M):
                yield from ((module, name) for name in names.split(", "))


def test_every_folder_is_a_room_of_the_table():
    assert sorted(path.name for path in HOUSE.iterdir() if path.is_dir() and path.name != "__pycache__") == sorted(
        ROOMS
    )
    assert {path.name for path in HOUSE.glob("*.py")} == {"__init__.py", "__main__.py"}


def test_imports_point_one_way():
    wrong = []
    for path in HOUSE.rglob("*.py"):
        mine = path.relative_to(HOUSE).parts[0]
        rooms = {room_of(m) for m, _ in imports(path) if m.split(".")[0] in ("stimage", "stimage_1k4m")} - {"stimage"}
        wrong += [f"{path.relative_to(PROJECT)} imports {room}" for room in rooms - SEES.get(mine, set(ROOMS))]
    assert not wrong


def test_the_library_knows_no_script():
    wrong = {"scripts", "tests", "benchmarks", "metrics"}
    assert not [p for p in HOUSE.rglob("*.py") if wrong & {m.split(".")[0] for m, _ in imports(p)}]


def test_files_of_tests_have_names_of_their_own():
    """pytest takes files of folders without __init__.py for one module, if they are called alike."""
    apart = [path for path in (PROJECT / "tests").rglob("test_*.py") if not (path.parent / "__init__.py").exists()]
    assert len({path.name for path in apart}) == len(apart) > 50


def test_rooms_are_small():
    full = {}
    for folder in {path.parent for path in HOUSE.rglob("*.py")}:
        n = len([path for path in folder.glob("*.py") if path.name != "__init__.py"])
        if n > MOST:
            full[str(folder.relative_to(PROJECT))] = n
    assert not full


def test_documents_import_of_rooms_not_of_their_files():
    assert (found := set(documented())) and not [m for m, _ in found if m.count(".") > 1]


@pytest.mark.parametrize("room", ROOMS)
def test_what_others_take_of_a_room_is_what_it_offers(room):
    taken = {(a.name, f"stimage.{m}") for m, a in given() if room_of(f"stimage.{m}") == room}
    taken |= {(name, m) for m, name in documented() if room_of(m) == room}
    for top in (*USERS, "stimage_1k4m.py"):
        for path in [PROJECT / top] if top.endswith(".py") else (PROJECT / top).rglob("*.py"):
            if HOUSE / room not in path.parents:
                taken |= {(name, m) for m, name in imports(path) if room_of(m) == room and name}
    assert {name for name, _ in taken} == offered(room).keys()
    assert {name: m for name, m in taken if m != f"stimage.{room}"}.items() <= offered(room).items()


@pytest.mark.parametrize("room", ROOMS)
def test_what_a_room_offers_can_be_had(room):
    here = importlib.import_module(f"stimage.{room}")
    assert sorted(here.__all__) == sorted(offered(room))
    for name, module in offered(room).items():
        assert getattr(here, name) is getattr(importlib.import_module(module), name)
