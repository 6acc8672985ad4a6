"""Notebooks as pages: a notebook's cells become Markdown, which Sphinx then reads as any page."""

import json
from typing import Any

DOWNLOAD = "{{download}}`This page is a notebook: download it <{name}>`, and run it in Jupyter or an editor.\n"


def cells_of(text: str) -> list[tuple[str, str]]:
    """Return a notebook's cells in order: "markdown" or "code", and the source."""
    return [(cell["cell_type"], "".join(cell["source"])) for cell in json.loads(text)["cells"]]


def as_markdown(text: str) -> str:
    """Return a notebook's cells as Markdown, its code in blocks of Python."""
    return "\n\n".join(f"```python\n{source}\n```" if kind == "code" else source for kind, source in cells_of(text))


def read_notebook(app: Any, docname: str, source: list[str]) -> None:
    """Turn the source of a page that is a notebook into Markdown, with a link to the notebook below its title."""
    path = app.env.doc2path(docname, base=False)
    if path.suffix == ".ipynb":
        title, rest = as_markdown(source[0]).split("\n", 1)
        source[0] = f"{title}\n\n{DOWNLOAD.format(name=path.name)}{rest}"


def setup(app: Any) -> dict[str, bool]:
    """Have Sphinx read notebooks as Markdown."""
    app.add_source_suffix(".ipynb", "markdown")
    app.connect("source-read", read_notebook)
    return {"parallel_read_safe": True}
