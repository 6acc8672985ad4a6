"""All settings in words, by group: for `--help`, and as tables of the documentation."""

import json
import textwrap
from pathlib import Path
from typing import Any

from stimage.training.settings.fields import Setting, settings_of
from stimage.training.settings.groups import GROUPS

BEGIN, END = "<!-- settings: made by python -m stimage.training.settings.describing -->\n", "<!-- end of settings -->\n"
DOCUMENT = Path("docs/reference/settings.md")


def settings_help(width: int = 110) -> str:
    """Return every group with its settings, their defaults, values and meanings, as `--help` shows them."""
    lines = []
    for name, group in GROUPS.items():
        lines += ["", f"{name}: {_first_line(group)}"]
        for one in settings_of(group).values():
            text = f"{_sentence(one)} ({one.wanted})"
            lines += [f"  {one.name}={_default(one)}", *textwrap.wrap(text, width, **_INDENTED)]
    return "\n".join(lines)


_INDENTED: dict[str, Any] = {"initial_indent": " " * 6, "subsequent_indent": " " * 6}


def settings_tables() -> str:
    """Return a table of each group, in Markdown."""
    parts = []
    for name, group in GROUPS.items():
        lines = [f"## {name}", "", _first_line(group), "", "| setting | default | value | meaning |",
                 "| --- | --- | --- | --- |"]  # fmt: skip
        for one in settings_of(group).values():
            lines.append(f"| `{one.short}` | `{_default(one)}` | {one.wanted} | {_sentence(one)} |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def fill(page: str) -> str:
    """Return a page with the tables between its marks as they are now."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    return f"{before}{begin}\n{settings_tables()}\n{end}{after}"


def _first_line(group: Any) -> str:
    return group.__doc__.splitlines()[0]


def _sentence(one: Setting) -> str:
    first = one.about[0] if one.about[0] == "µ" else one.about[0].upper()  # no Greek capital M
    return f"{first}{one.about[1:]}."


def _default(one: Setting) -> str:
    return one.default if isinstance(one.default, str) and one.default else json.dumps(one.default)


if __name__ == "__main__":
    DOCUMENT.write_text(fill(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
