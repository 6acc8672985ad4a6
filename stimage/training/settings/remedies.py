"""Remedies of errors in the words of settings: what reads slides names the options of Python and of commands."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from stimage.core.errors import DataError
from stimage.training.settings.reading import SHORT

OPTION = re.compile(r"\b(\w+)=([^\s;,()]*) \((--[^()]*)\)")
OTHERWISE = {  # options that no setting of their name stands for
    "patch": "data.patch_um= and data.patch_px=",
    "on_mismatch": "data.exclude= with the slide",
}


@contextmanager
def told_as_settings() -> Iterator[None]:
    """Let a `DataError` through with each option in it written as the setting of fine-tuning that does the same."""
    try:
        yield
    except DataError as error:
        error.args = (in_settings(str(error)), *error.args[1:])
        raise


def in_settings(text: str) -> str:
    """Return a text with ``name=value (--name value)`` as ``group.name=value``; what is no setting stays as it is."""
    return OPTION.sub(_setting, text)


def _setting(found: re.Match) -> str:
    name, value, options = found.groups()
    if name in OTHERWISE:
        return OTHERWISE[name]
    if name not in SHORT:
        return found[0]
    value = {"True": "true", "False": "false"}.get(value, value.strip("'"))
    more = ", ".join(part for part in options.split(", ") if not part.startswith("--"))
    return f"{SHORT[name]}={value}" + (f" ({more})" if more else "")
