"""One setting: its type, range and help are declared once, for checks, `--help` and the documentation."""

import math
import os
import reprlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Any, ClassVar, get_args, get_origin, get_type_hints

from stimage.core.errors import DataError

TRUTHS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}  # YAML 1.1's
QUOTES = "'\""
WORDS = {int: ("a whole number", "whole numbers"), float: ("a number", "numbers"), str: ("a text", "texts"),
         dict: ("a mapping", "mappings")}  # fmt: skip


def setting(default: Any, about: str, **limits: Any) -> Any:
    """Declare a field of a `Group`; ``limits`` are the last attributes of `Setting`."""
    return field(default=default, metadata={"about": about, **limits})


@dataclass(frozen=True)
class Setting:
    """What a setting is called, may be, and means.

    Attributes
    ----------
    name
        In full: ``group.name``.
    kinds
        Types that a value may have, in the order in which they are tried; a list is ``tuple[type, ...]``.
    least, most, above, below
        Limits of a number, or of each of a list; the last two are not reached.
    choices
        All values that there are, of a text or of each of a list.
    length
        Of a list.
    file
        Whether it names a file or a folder: a run that goes on is held to what this holds, not to where it lies.
    """

    name: str
    kinds: tuple[Any, ...]
    default: Any
    about: str
    least: float | None = None
    most: float | None = None
    above: float | None = None
    below: float | None = None
    choices: tuple[str, ...] = ()
    length: int | None = None
    file: bool = False

    @property
    def short(self) -> str:
        """The name without its group."""
        return self.name.rpartition(".")[2]

    @property
    def wanted(self) -> str:
        """The allowed values, in words."""
        words = [self._words(kind) for kind in self.kinds if kind is not NoneType]
        return " or ".join(words) + (", or null" if NoneType in self.kinds else "")

    def read(self, value: Any) -> Any:
        """Return a value of YAML, text of the command line, or Python as the setting has it.

        Raises
        ------
        DataError
            If the value is of another type, out of range, or no choice.
        """
        for kind in self.kinds:
            try:
                found = _read(kind, value)
            except (ValueError, OverflowError):
                continue
            if self._allows(found):
                return found
            break  # a number out of range is no text
        shown = "null" if value is None else reprlib.repr(value)
        raise DataError(f"{self.name}: is {shown.strip(QUOTES) or shown}; must be {self.wanted}")

    def _allows(self, value: Any) -> bool:
        if isinstance(value, tuple):
            return self.length in (None, len(value)) and all(map(self._allows, value))
        if isinstance(value, str):
            return not self.choices or value in self.choices
        if value is None or isinstance(value, bool):
            return True
        high_enough = (self.least is None or value >= self.least) and (self.above is None or value > self.above)
        return high_enough and (self.most is None or value <= self.most) and (self.below is None or value < self.below)

    def _words(self, kind: Any) -> str:
        if kind is bool:
            return "true or false"
        if element := get_args(kind):
            if self.choices:
                return f"a list of any of {', '.join(self.choices)}"
            return f"a list of {self.length or ''} {WORDS[element[0]][1]}".replace("  ", " ") + self._range
        if self.choices:
            return f"{', '.join(self.choices[:-1])} or {self.choices[-1]}" if self.choices[1:] else self.choices[0]
        return WORDS[kind][0] + (self._range if kind in (int, float) else "")

    @property
    def _range(self) -> str:
        if self.above is not None:
            return f" above {self.above:g}"
        if self.least is None:
            return ""
        end = f"to {self.most}" if self.most is not None else f"to below {self.below}" if self.below is not None else ""
        return f" from {self.least} {end}" if end else f" of {self.least} or more"


class Group:
    """A group of settings: a dataclass whose values are checked however it is made."""

    group: ClassVar[str]

    def __post_init__(self) -> None:
        group: Any = type(self)
        for short, one in settings_of(group).items():
            value = getattr(self, short)
            if value is not one.default:
                object.__setattr__(self, short, one.read(value))


@cache
def settings_of(group: Any) -> dict[str, Setting]:
    """Return the settings of a `Group` class, by their short names."""
    hints = get_type_hints(group)
    return {
        one.name: Setting(f"{group.group}.{one.name}", _kinds(hints[one.name]), one.default, **one.metadata)
        for one in fields(group)
    }


def _kinds(hint: Any) -> tuple[Any, ...]:
    kinds = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    return tuple(dict if get_origin(kind) is Mapping else kind for kind in kinds)


def _read(kind: Any, value: Any) -> Any:
    if element := get_args(kind):
        if not isinstance(value, list | tuple):
            raise ValueError(value)
        return tuple(_read(element[0], one) for one in value)
    return READ[kind](value)


def _truth(value: Any) -> bool:
    found = TRUTHS.get(value.lower()) if isinstance(value, str) else value
    if not isinstance(found, bool):
        raise ValueError(value)
    return found


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, Integral | str):
        raise ValueError(value)
    return int(value)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, Real | str) or not math.isfinite(number := float(value)):
        raise ValueError(value)
    return number


def _text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | os.PathLike | Integral) or value == "":
        raise ValueError(value)
    return os.fspath(value) if isinstance(value, os.PathLike) else str(value)


def _mapping(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(value)
    return {str(name): _plain(one) for name, one in value.items()}


def _plain(value: Any) -> Any:
    """Return what a value within a mapping stands for, whose type no setting says: a word of YAML may be a number."""
    if isinstance(value, dict):
        return _mapping(value)
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    for read in (_whole, _number, _truth):
        try:
            return value if not isinstance(value, str) else read(value)
        except ValueError:
            continue
    return value


def _nothing(value: Any) -> None:
    if value is not None:
        raise ValueError(value)


READ: dict[type, Callable[[Any], Any]] = {
    bool: _truth, int: _whole, float: _number, str: _text, dict: _mapping, NoneType: _nothing
}  # fmt: skip
