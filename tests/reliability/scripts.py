"""Scripts in this process: their ``main`` as `stimage.cli.options.run` has it, with work done here, in no pool."""

import contextlib
import io
import runpy
import sys
from functools import cache

import pytest

from stimage.cli.options import run
from stimage.core.errors import DataError
from tests.test_scripts import SCRIPTS, no_processes


@cache
def main_of(script: str):
    return runpy.run_path(str(SCRIPTS / script))["main"]


@pytest.fixture(scope="module")
def in_this_process():
    with no_processes():
        yield


def call(script: str, *arguments) -> str:
    """Run a script; what ends it with another code than 0 is raised, as `DataError` with all that it said."""
    before, said, wrong = sys.argv, io.StringIO(), io.StringIO()
    sys.argv = [script, *map(str, arguments)]
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(wrong):
            run(main_of(script))
    except SystemExit as end:
        if end.code:
            raise DataError(f"{end.code}\n{wrong.getvalue()}") from None
    finally:
        sys.argv = before
    return said.getvalue()
