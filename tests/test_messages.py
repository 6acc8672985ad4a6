"""What messages advise: an option is written as Python takes it, and as scripts do, and both have it."""

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

import stimage
import stimage_1k4m
from stimage.core.errors import unreadable
from stimage.demo.steps import Step
from stimage.loading.decoding import decode
from stimage.slides.images.reader import image_info

PROJECT = Path(__file__).parents[1]
PACKAGE = PROJECT / "stimage"
SCRIPTS_ONLY = {  # jobs that Python has no function for: their messages name the option alone
    "collection/meta/making.py", "evaluation/tables/comparing.py", "genes/numbering.py", "slides/splits/dealing.py",
    "publishing/engines.py", "cli/options.py", "cli/evaluation.py", "cli/command.py", "cli/doctor.py",
}  # fmt: skip
COMMANDS = ("{DEAL}", "{NUMBER}", "{command}", "torchrun")  # whole commands of a shell
FUNCTIONS = ("open_root", "add_slide", "check", "select_genes", "publish", "finetune", "embed", "probe", "predict",
             "retrieve", "search", "read_slide", "export_slides", "export_expression", "import_cells",
             "compare_cells")  # fmt: skip
WRITTEN = re.compile(
    r"(\w+)=(\S*)(?: and \w+=)? \((--[a-z][\w-]*(?:, --[\w-]+)*)([^)]*)\)"
)  # name=value (--name value)


def texts(path: Path) -> Iterator[str]:
    """Yield the texts of a file, with {…} for what is filled in, but for docstrings."""
    tree, seen = ast.parse(path.read_text(encoding="utf-8")), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node):
            seen.add(id(node.body[0].value))
        elif isinstance(node, ast.JoinedStr) and id(node) not in seen:
            seen |= {id(part) for part in ast.walk(node)}
            parts = [p.value if isinstance(p, ast.Constant) else f"{{{ast.unparse(p.value)}}}" for p in node.values]
            yield "".join(parts)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in seen:
            yield node.value


def advising() -> dict[str, set[str]]:
    """Return file → its messages that name an option, which is none of a command's words."""
    found: dict[str, set[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        for text in texts(path):
            if re.search(r"[^`]--[a-z]", text) and name not in SCRIPTS_ONLY and not any(c in text for c in COMMANDS):
                found.setdefault(name, set()).add(text)
    return {name: some for name, some in found.items() if not name.startswith("demo/")}


def test_options_are_written_as_python_takes_them_too():
    bare = [(n, text) for n, some in advising().items() for text in some if re.search("--[a-z]", WRITTEN.sub("", text))]
    assert bare == [("formats/source_scale.py", "user (add_slide --um-per-px)")]  # who gave a scale, no advice


def test_python_and_scripts_have_the_options_that_are_advised():
    flags = {"--out"}
    for path in [*(PROJECT / "scripts").rglob("*.py"), *(PACKAGE / "cli").glob("*.py")]:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        flags |= {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and str(n.value).startswith("--")}
    arguments = {name for f in FUNCTIONS for name in inspect.signature(getattr(stimage, f)).parameters}
    arguments |= set(inspect.signature(stimage_1k4m.load).parameters)
    told = [match for some in advising().values() for text in some for match in WRITTEN.finditer(text)]
    assert len(told) > 50
    for argument, value, named, same in (match.groups() for match in told):
        assert argument in arguments, argument
        assert {*named.split(", ")} <= flags, named
        if value.strip("'\"") != same.partition(",")[0].strip():
            assert value in ("", "True") and not same, (argument, value, same)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PermissionError(13, "Permission denied"), "FILE: cannot be read (Permission denied)"),
        (OSError(5, "Input/output error"), "FILE: cannot be read (Input/output error)"),
        (ConnectionResetError(104, "Connection reset by peer"), "FILE: cannot be read (Connection reset by peer)"),
        (MemoryError("malloc of size 9 failed"), "FILE: memory ran out while it was read"),
        (pa.lib.ArrowMemoryError("malloc of size 9 failed"), "FILE: memory ran out while it was read"),
        (ModuleNotFoundError("No module named 'hdf5plugin'"), "FILE: cannot be read (No module named 'hdf5plugin')"),
        (OSError("file signature not found"), "FILE: is damaged"),
        (ValueError("Unexpected end of stream"), "FILE: is damaged"),
    ],
    ids=lambda one: type(one).__name__,
)
def test_damage_is_said_of_damage_alone(error, said):
    assert str(unreadable("FILE", error, "is damaged")) == said


def test_an_image_is_not_blamed_for_what_it_is_not(tmp_path):
    with pytest.raises(stimage.DataError, match=r"no\.png: cannot be read \(No such file or directory\)"):
        image_info(str(tmp_path / "no.png"))
    with pytest.raises(stimage.DataError, match=r"begins with b'%PDF-1\.4': it is none"):
        decode(pa.py_buffer(b"%PDF-1.4 and more"), "S_1")


def test_a_demo_out_of_a_package_prints_jobs(tmp_path):
    """A path within site-packages is no command to type."""
    script = PACKAGE / "shipped/scripts/data_process/build_shards.py"
    assert (
        Step("build", (str(script), "root", "--workers", "2"), tmp_path).shown
        == "stimage build-shards root --workers 2"
    )
    assert Step("build", ("scripts/demo.py", "root"), tmp_path).shown == "python scripts/demo.py root"
