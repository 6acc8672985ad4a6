"""What a check says of a slide."""

from collections.abc import Iterable
from dataclasses import dataclass, field

STATUSES = ("fail", "warn", "skipped", "pass")  # the worst first


@dataclass(frozen=True)
class Finding:
    """The outcome of one check of one slide.

    ``status``: "fail" must be mended before the slide is used; "warn" is for a curator to look at; "skipped" could not
    be looked at, because of what another check found. ``values`` are what was measured, by name.
    """

    slide: str
    check: str
    status: str
    message: str
    remedy: str = ""
    values: dict[str, float | str] = field(default_factory=dict)


def worst(statuses: Iterable[str]) -> str:
    """Return the worst of statuses; skipped checks are ignored."""
    return min((status for status in statuses if status != "skipped"), key=STATUSES.index, default="pass")
