"""The rooms of stimage import one way."""

import ast
from pathlib import Path

HOUSE = Path(__file__).parents[1] / "stimage"
GROUND = {"errors", "files", "parallel", "sample", "versions"}  # know no room
ROOMS = (
    "slides",
    "genes",
    "collection",
    "processing",
    "modeling",
    "evaluation",
    "training",
    "demo",
)  # each knows those before it
SEES = {room: {*ROOMS[:k], room} | GROUND for k, room in enumerate(ROOMS)}
SEES |= {name: {"errors", name} for name in GROUND} | {"arguments": {"slides", "processing"} | GROUND}
DOOR = {"stimage_1k4m"}  # a root as any user reads it
MORE = {"modeling": DOOR, "training": DOOR, "evaluation": {"arguments"}}  # and what scripts share


def imported(path: Path) -> set[str]:
    """Return every module that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | ({f"stimage.{a.name}" for a in node.names} if node.module == "stimage" else set())
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


def room_of(module: str) -> str:
    """Return a room, or the front door itself."""
    return module.split(".")[1] if module.startswith("stimage.") else module


def test_every_module_is_of_a_known_room():
    assert {path.stem for path in HOUSE.iterdir() if path.suffix == ".py" or path.is_dir()} - {
        "__init__", "__pycache__",
    } == set(SEES)  # fmt: skip


def test_imports_point_one_way():
    wrong = []
    for path in HOUSE.rglob("*.py"):
        room = path.relative_to(HOUSE).parts[0].removesuffix(".py")
        seen = {room_of(m) for m in imported(path) if m.split(".")[0] in ("stimage", "stimage_1k4m")} - {"stimage"}
        wrong += [
            f"{path.relative_to(HOUSE)} imports {name}" for name in seen - SEES.get(room, set()) - MORE.get(room, set())
        ]
    assert not wrong


def test_the_library_knows_no_script():
    wrong = {"scripts", "tests", "benchmarks", "metrics"}
    assert not [p for p in HOUSE.rglob("*.py") if wrong & {m.split(".")[0] for m in imported(p)}]
