"""The result of a check of a slide."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

STATUSES = ("fail", "warn", "skipped", "pass")  # the worst first


@dataclass(frozen=True)
class Result:
    """The result of one check.

    ``status`` is "fail" (mend this before you use the slide), "warn" (look at this), "pass", or "skipped" (another
    check's finding made this check impossible). ``values`` are measured values, by name.
    """

    status: str
    message: str
    remedy: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Finding:
    """The `Result` of one check of one slide."""

    slide: str
    check: str
    status: str
    message: str
    remedy: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)


def worst(statuses: Iterable[str]) -> str:
    """Return the worst of statuses; skipped checks are ignored."""
    return min((status for status in statuses if status != "skipped"), key=STATUSES.index, default="pass")
