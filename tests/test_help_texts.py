"""`--help` of every command: each option is explained, shows its default, and is read once, as far as one can test."""

import argparse
import re
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest

from stimage.cli.command import find_jobs, listing
from stimage.training.settings.groups import SETTINGS
from tests.test_language import faults

JOBS = find_jobs()
MOST_IN_A_ROW = 140  # characters of a line of `stimage --help`
VAGUE = re.compile(r"^(?:of|what (?:is|are|was|were)|to be|that|it|its|they|also|with the|as|none)\b", re.I)
NAMES = re.compile(r"^(?:[A-Z]{2}|Space Ranger|Visium|Parquet)|^[^A-Z]")  # how a text may begin
NO_DEFAULT = (None, False, True, argparse.SUPPRESS)


class Parsed(BaseException):
    """Carries a script's parser out of the script, before it parses anything."""


def parser_of(script: Path) -> argparse.ArgumentParser:
    """Return the parser that a script makes."""

    def stop(parser: argparse.ArgumentParser, *_: object) -> None:
        raise Parsed(parser)

    with (
        mock.patch.object(argparse.ArgumentParser, "parse_args", stop),
        mock.patch.object(sys, "argv", [str(script)]),
        pytest.raises(Parsed) as caught,
    ):
        runpy.run_path(str(script), run_name="__main__")
    return caught.value.args[0]


def options_of(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Yield all options that `--help` shows, those of subcommands too."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for one in action.choices.values():
                yield from options_of(one)
        if action.help != argparse.SUPPRESS and not isinstance(action, argparse._HelpAction):
            yield action


def shows_default(action: argparse.Action) -> bool:
    """Return whether an option's help has its default; switches, and options without one, have none to show."""
    default = action.default
    if default in NO_DEFAULT or default in ("", [], {}) or "%(default)" in (text := action.help or ""):
        return True
    values = default if isinstance(default, (list, tuple)) else [default]
    return "default: " in text and all(str(value) in text for value in values)


def wrong(action: argparse.Action) -> list[str]:
    """Return what is wrong with the text of an option."""
    text = " ".join((action.help or "").replace("%%", "%").split())
    name = "/".join(action.option_strings) or action.dest
    if not text:
        return [f"{name}: has no help"]
    found = [f"{name}: {fault}" for fault in faults(text)]
    if VAGUE.match(text) or not NAMES.match(text):
        found.append(f"{name}: says no noun or verb first, or begins with a capital letter: {text}")
    if text.endswith((".", ";", ",")):
        found.append(f"{name}: ends with a stop: {text}")
    if not shows_default(action):
        found.append(f"{name}: does not show its default, {action.default!r}: {text}")
    return found


def told(description: str) -> str:
    """Return a description without its commands and its lists of words that are explained."""
    paragraphs = re.split(r"\n\s*\n", description)
    return "\n\n".join(
        part for part in paragraphs if not re.search(r"^(?:    |\w+\.py |stimage )|\w {2,}\w", part, re.M)
    )


@pytest.mark.parametrize("job", JOBS)
def test_options_are_explained(job):
    parser = parser_of(JOBS[job])
    assert not [fault for action in options_of(parser) for fault in wrong(action)]
    assert not faults(told(parser.description))


def test_each_command_has_one_clear_line():
    lines = [line for line in listing(JOBS).splitlines() if line.startswith("  ")]
    assert len(lines) == len(JOBS)
    assert not [line for line in lines if not line.endswith(".") or len(line) > MOST_IN_A_ROW]


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_are_explained(name):
    assert not faults(text := SETTINGS[name].about)
    assert not VAGUE.match(text) and not text.endswith(".")


def test_what_is_unclear_is_found():
    add = argparse.ArgumentParser().add_argument
    assert wrong(add("--a")) == ["--a: has no help"]
    assert "no noun" in wrong(add("--b", help="of the slide"))[0]
    assert "ends with a stop" in wrong(add("--c", help="side of a patch in µm."))[0]
    assert "its default, 5" in wrong(add("--d", default=5, help="number of processes"))[0]
    assert "its default, [1, 5]" in wrong(add("--e", default=[1, 5], help="ranks (default: 1)"))[0]
    assert "of which" in wrong(add("--f", help="genes of which the counts are read"))[0]
    assert wrong(add("--g", default=5, help="number of processes (default: %(default)s)")) == []
