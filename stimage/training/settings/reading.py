"""Read settings from YAML files, which may stand on a base, and from overrides by name."""

import difflib
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import NoneType
from typing import Any

import yaml

from stimage.core.errors import DataError, one_line
from stimage.core.shipped import find_config
from stimage.training.settings.groups import GROUPS, SETTINGS, Settings, flat

BASE_KEY = "base"
_TIMES = Counter(one.short for one in SETTINGS.values())
SHORT = {one.short: name for name, one in SETTINGS.items() if _TIMES[one.short] == 1}
RENAMED = {  # settings had no groups before; those not here kept their names
    "data": "data.source", "config": "data.tech", "vision": "towers.image", "tower": "towers.second",
    "optimizer": "optimiser.kind",
}  # fmt: skip


def read_settings(
    path: str | Path, overrides: Sequence[str] = (), source: str | None = None, given: Mapping[str, Any] | None = None
) -> Settings:
    """Read a YAML file of settings and override them.

    Parameters
    ----------
    path
        The file. Its key ``base`` names another file, relative to it, or a shipped one. Settings of the base hold
        unless this file gives them.
    overrides
        ``group.name=value``, or ``name=value`` if no other group has that name; the value is YAML.
    source
        A value that takes the place of ``data.source``.
    given
        Full name → value in Python; these go before all others.

    Raises
    ------
    DataError
        If a file can't be read, a name is unknown or has changed, or a value is of the wrong type or out of range. The
        error names it.
    """
    found = _values(Path(path))
    for override in overrides:
        name, equals, text = override.partition("=")
        with _told(where := f"--override {override}"):
            if not equals:
                raise DataError("write name=value")
            found[full_name(name)] = (_load(text), where)
    if source is not None:
        found["data.source"] = (source, "data")
    found |= {name: (value, "settings") for name, value in (given or {}).items()}
    typed = {}
    for name, (value, where) in found.items():
        with _told(where):
            typed[name] = SETTINGS[name].read(value)
    with _told(str(path)):
        return make_settings(typed)


def make_settings(values: Mapping[str, Any]) -> Settings:
    """Return the settings with these values, by full or short names; raises as `read_settings` does."""
    groups: dict[str, dict[str, Any]] = {group: {} for group in GROUPS}
    for name, value in values.items():
        group, _, short = full_name(name).partition(".")
        groups[group][short] = value
    return Settings(**{group: GROUPS[group](**own) for group, own in groups.items()})


def full_name(name: str) -> str:
    """Return ``group.name`` of a setting; `DataError` for an unknown name, with the nearest or the new one."""
    if name in SETTINGS:
        return name
    if name in RENAMED:
        raise DataError(f"{name!r} is called {RENAMED[name]!r} now")
    if name in SHORT:
        return SHORT[name]
    if name in GROUPS:
        first = next(one for one in SETTINGS if one.startswith(f"{name}."))
        raise DataError(f"{name!r} is a group of settings, such as {first!r}")
    last = name.rpartition(".")[2]
    near = [SHORT[last]] if last in SHORT else difflib.get_close_matches(name, [*SHORT, *SETTINGS], 1)
    raise DataError(f"knows no setting {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""))


def read_record(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings in a run's settings.json by full name, also for a run from before there were groups.

    Raises
    ------
    ValueError
        If the file has none, or one group without the others.
    """
    if not isinstance(record, Mapping):
        raise ValueError("is no table of settings")
    grouped = [group for group in GROUPS if isinstance(record.get(group), Mapping)]
    if grouped and grouped != list(GROUPS):
        raise ValueError(f"has the groups {grouped}, not {list(GROUPS)}")
    if grouped:
        return flat({group: record[group] for group in GROUPS})
    known = RENAMED | SHORT
    found = {known[name]: value for name, value in record.items() if name in known}
    if not found:
        raise ValueError("has no settings")
    return found


class _Loader(yaml.SafeLoader):
    """Leave plain words as they are written: of a slide called 002, or of "no", the setting's type says what it is."""

    yaml_implicit_resolvers = {  # noqa: RUF012, as the base class has it
        first: [(tag, pattern) for tag, pattern in resolvers if tag.endswith((":null", ":merge"))]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise ValueError(f"line {key.start_mark.line + 1}: has {key.value!r} twice")
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _load(text: str) -> Any:
    try:
        return _Loader(text).get_single_data()
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, RecursionError) as error:  # the last of wrong tags
        why = one_line(error).replace('in "<unicode string>",', "at")
        raise DataError(f"is no YAML: {why}") from None


def _values(path: Path, above: tuple[str, ...] = ()) -> dict[str, tuple[Any, str]]:
    """Return each setting's value, and which file says it, of a file and those that it stands on."""
    place, found = os.path.abspath(path), dict[str, tuple[Any, str]]()
    with _told(str(path)):
        if place in above:
            raise DataError("stands on itself")
        values = _load(_text_of(path))
        if not isinstance(values, dict):
            raise DataError("is no YAML mapping of settings; {} takes all as they are by default")
        base = values.pop(BASE_KEY, None)
        if base is not None and not isinstance(base, str):
            raise DataError(f"{BASE_KEY}: must be a YAML file, or the name of a shipped one")
        own = {full_name(name): (value, str(path)) for name, value in _in_groups(values)}
        if base is not None:
            found = _values(path.parent / base if Path(base).suffix else find_config(base), (*above, place))
    return found | own


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"cannot be read ({one_line(error)})") from None
    except ValueError as error:  # bytes that are no UTF-8, or a path that is none
        raise DataError(f"is no YAML: {error}") from None


def _in_groups(values: Mapping[Any, Any]) -> Iterator[tuple[str, Any]]:
    """Give the settings of a file by full name; `DataError` for what stands in no group."""
    groups = {name: own or {} for name, own in values.items() if name in GROUPS and isinstance(own, dict | NoneType)}
    outside = [str(name) for name in values if name not in groups]
    places = RENAMED | SHORT | {name: name for name in SETTINGS}
    if moved := [f"{name} as {_in_yaml(places[name])}" for name in outside if name in places]:
        raise DataError(f"settings stand in groups: write {', '.join(moved)}")
    for name in outside:
        full_name(name)  # raises
    yield from ((f"{group}.{name}", value) for group, own in groups.items() for name, value in own.items())


def _in_yaml(name: str) -> str:
    group, _, short = name.partition(".")
    return f"{group}: {{{short}: …}}"


@contextmanager
def _told(where: str) -> Iterator[None]:
    """Begin an error's message with where it is."""
    try:
        yield
    except ValueError as error:
        raise DataError(f"{where}: {error}") from None
