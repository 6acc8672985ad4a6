"""What a check says of a slide."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

STATUSES = ("fail", "warn", "skipped", "pass")  # the worst first


@dataclass(frozen=True)
class Result:
    """What one check says.

    ``status``: "fail" must be mended before the slide is used; "warn" is for a curator to look at; "skipped" could not
    be looked at, because of what another check found. ``values`` are what was measured, by name.
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
