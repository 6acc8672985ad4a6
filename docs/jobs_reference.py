"""The directive `jobs` puts signatures and docstrings into a page. It reads the source, and imports none of it."""

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import TypeGuard

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.ext.napoleon import NumpyDocstring
from sphinx.util.docutils import SphinxDirective

PROJECT = Path(__file__).parents[1]
Definition = ast.FunctionDef | ast.ClassDef


def definitions(module: str) -> Iterator[tuple[Path, Definition]]:
    """Yield file and definition of each public function and class of a module, by its stub if it has one."""
    stub = PROJECT / module / "__init__.pyi"
    if not stub.exists():
        source = PROJECT / f"{module}.py"
        yield from ((source, node) for node in parsed(source) if is_definition(node) and not node.name.startswith("_"))
        return
    for line in parsed(stub):
        if isinstance(line, ast.ImportFrom) and line.module:
            for alias in line.names:
                yield from definition(f"{module}.{line.module}", alias.name)


def definition(module: str, name: str) -> Iterator[tuple[Path, Definition]]:
    """Yield file and definition of one name, which a module defines or imports; nothing, if it is a room or a value."""
    source = PROJECT / f"{module.replace('.', '/')}.py"
    for node in parsed(source) if source.exists() else ():
        if is_definition(node) and node.name == name:
            yield source, node
        elif isinstance(node, ast.ImportFrom) and node.module and name in {alias.name for alias in node.names}:
            yield from definition(node.module, name)


def parsed(source: Path) -> list[ast.stmt]:
    """Return the statements of a source file."""
    return ast.parse(source.read_text(encoding="utf-8")).body


def is_definition(node: ast.stmt) -> TypeGuard[Definition]:
    """Return whether a statement defines a function or a class."""
    return isinstance(node, (ast.FunctionDef, ast.ClassDef))


def described(node: Definition, module: str | None, settings: object) -> Iterator[str]:
    """Yield reStructuredText: a signature, the docstring, and the public methods of a class."""
    is_class = isinstance(node, ast.ClassDef)
    kind = "class" if is_class else "function" if module else "method"
    yield from (f".. py:{kind}:: {node.name}{'' if is_class else signature(node)}", "")
    text = inspect.cleandoc(ast.get_docstring(node) or "")
    yield from (f"   {line}" for line in str(NumpyDocstring(text, settings, what=kind)).splitlines())
    yield ""
    if is_class:
        for one in node.body:
            if isinstance(one, ast.FunctionDef) and not one.name.startswith("_") and ast.get_docstring(one):
                yield from (f"   {line}" for line in described(one, None, settings))


def signature(node: ast.FunctionDef) -> str:
    """Return a function's parameters and what it returns, without `self`."""
    arguments = node.args
    if arguments.args and arguments.args[0].arg in ("self", "cls"):
        arguments.args = arguments.args[1:]
    return f"({ast.unparse(arguments)})" + (f" -> {ast.unparse(node.returns)}" if node.returns else "")


class Jobs(SphinxDirective):
    """`.. jobs:: stimage` describes what a module gives, in the order of its stub."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        module = self.arguments[0]
        lines = StringList()
        lines.append(f".. py:currentmodule:: {module}", module)
        lines.append("", module)
        for source, node in definitions(module):
            self.env.note_dependency(str(source))
            for line in described(node, module, self.config):
                lines.append(line, str(source), node.lineno)
        holder = nodes.Element()
        self.state.nested_parse(lines, 0, holder, match_titles=True)
        return holder.children


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("jobs", Jobs)
    return {"parallel_read_safe": True}
