"""Running scripts one after another; a rerun skips finished steps."""

import fcntl
import hashlib
import json
import os
import runpy
import shlex
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from stimage.core.errors import DataError, one_line
from stimage.core.files import write_text
from stimage.core.results import as_json
from stimage.core.shipped import HERE

STATE, LOCK = "demo.json", "demo.lock"


@dataclass(frozen=True)
class Step:
    """One script with its arguments.

    Attributes
    ----------
    makes
        The result of the finished step: a file, or a folder of its own.
    resumes
        Whether the step continues by itself after an interruption. Other steps begin again, without half-made results.
    reads
        Files that the result depends on, in addition to the results of earlier steps.
    exits
        Exit codes that mean success.
    left_out
        The reason why the step can't be done here, if there is one.
    """

    name: str
    command: tuple[str, ...]
    makes: Path
    resumes: bool = False
    reads: tuple[Path, ...] = ()
    exits: tuple[int, ...] = (0,)
    left_out: str = ""

    @property
    def shown(self) -> str:
        """The command as a user would type it; for an installed package, by the name of the job."""
        script, *arguments = self.command
        if script.startswith(str(HERE)):
            return shlex.join(["stimage", Path(script).stem.replace("_", "-"), *arguments])
        return shlex.join(["python", *self.command])


class StepFailed(Exception):
    """A step failed and printed the reason; the value is its exit code."""


class Steps:
    """Runs steps, and records finished steps in OUT/demo.json, with their commands and seconds.

    A step is known by its command, by the files that it reads, and by all of that for the steps before it. If any of it
    changes, the step and all later steps are done again.

    Parameters
    ----------
    out
        The folder that all steps write into. Only one demo works in it at a time; another waits.
    """

    def __init__(self, out: Path):
        self.path, self.key, self.done = out / STATE, "", []
        out.mkdir(parents=True, exist_ok=True)
        self.lock = (out / LOCK).open("w")  # running steps inherit it, so that it outlives a demo that was killed
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"{out}: waiting for a step of another demo to end …", flush=True)
            fcntl.flock(self.lock, fcntl.LOCK_EX)
        try:
            self.state = json.loads(self.path.read_text(encoding="utf-8")) if self.path.exists() else {}
        except ValueError as error:
            raise DataError(f"{self.path}: is damaged ({one_line(error)}); remove it, and all is done again") from None

    def add(self, *facts: str) -> None:
        """Make all later steps depend on another value."""
        self.key = hashlib.sha256("\0".join((self.key, *facts)).encode()).hexdigest()

    def run(self, step: Step, number: str) -> None:
        """Run a step, unless it is finished; raises `StepFailed`."""
        print(f"\n== {number}: {step.name}", flush=True)
        self.done.append(step)
        if step.left_out:
            print(f"   left out: {step.left_out}")
            self._remove_made(step.name)  # on other slides: the report must not show it
            self.state.pop(step.name, None)
            return
        self.add(*step.command, *(path.read_text(encoding="utf-8") for path in step.reads))
        print(f"   $ {step.shown}", flush=True)
        before = self.state.get(step.name, {})
        same = before.get("key") == self.key
        if same and before["seconds"] is not None and step.makes.exists():
            print(f"   is there already: {step.makes}")
            return
        if not (same and step.resumes):
            self._remove_made(step.name)
        self._record(step, None)
        began = time.monotonic()
        if (code := run_forked(step.command)) not in step.exits or not step.makes.exists():
            raise StepFailed(code or 1)
        self._record(step, round(time.monotonic() - began, 1))
        print(f"   -> {step.makes} ({self.state[step.name]['seconds']} s)", flush=True)

    def _remove_made(self, name: str) -> None:
        """Remove what a step of this name has made here before."""
        if before := self.state.get(name):
            path = self.path.parent / before["makes"]
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    def _record(self, step: Step, seconds: float | None) -> None:
        makes = os.path.relpath(step.makes, self.path.parent)  # wherever the demo is run from
        self.state[step.name] = {"key": self.key, "makes": makes, "seconds": seconds}
        write_text(self.path, as_json(self.state))


def run_forked(command: tuple[str, ...]) -> int:
    """Run a script in a process forked of this one, in which the libraries are loaded already; return its exit code.

    An interruption ends the script and all its processes, and is raised again.
    """
    script = get_context("fork").Process(target=_as_main, args=(command,))
    try:
        with _interruption_held():
            script.start()
        script.join()
    except KeyboardInterrupt:
        assert script.pid
        try:
            os.killpg(script.pid, signal.SIGTERM)
        except ProcessLookupError:  # it has only just been forked, when Python forgets signals, or has ended
            script.kill()
        script.join()
        raise
    return script.exitcode or 0


@contextmanager
def _interruption_held() -> Iterator[None]:
    """Raise an interruption at the end: Python loses what is raised in the hooks that it runs around a fork."""
    came: list[int] = []
    demo = os.getpid()

    def hold(number: int, _: object) -> None:
        if os.getpid() != demo:  # the script's process, which has not begun
            os._exit(1)
        came.append(number)

    before = {number: signal.signal(number, hold) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if came:
        raise KeyboardInterrupt


def _as_main(command: tuple[str, ...]) -> None:
    os.setsid()  # Ctrl-C is the demo's to handle
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = list(command)
    runpy.run_path(command[0], run_name="__main__")
