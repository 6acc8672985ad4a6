"""Jobs that are struck at one of their writes: killed there, or the disk takes no more, or another joins in.

strikes.py JOB FOLDER SEED CASES: print what came of each case, as JSON; 0 cases are all that there are.
"""

import contextlib
import errno
import hashlib
import importlib
import json
import os
import random
import resource
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

MANIFEST = "manifest.json"
SECONDS = 300  # that a case may take on a busy machine
WRITES = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link", "os.symlink")
GROWS = ("open", "os.mkdir", "os.link", "os.symlink")  # what a full disk refuses
HOWS = ("killed", "disk full", "read-only disk", "joined", "file limit")
TIMES = ("seconds", "date", "spots_per_second", "waiting_share")
KILLED, OWN, FOREIGN, RIGHT = 9, 3, 4, 0
YEAR = 365 * 86_400
CLOCKS = {"an hour back": -3600.0, "ten years on": 10.0 * YEAR, "fifty years back": -50.0 * YEAR}
LIMITS = tuple(2**k * step for k in range(6, 17) for step in (2, 3))  # bytes that a file may have


@dataclass(frozen=True)
class Case:
    """How a job is struck; ``at`` is its write, counted from 0, or for a file limit the bytes."""

    how: str
    at: int


@dataclass
class Outcome:
    """What came of a case: the job's own words, and what is wrong with them or with what is left."""

    how: str
    at: int
    outcome: str = "right result"
    wrong: str = ""


@dataclass(frozen=True)
class Job:
    """What a process does in a folder, and the files below it that count, by pattern."""

    make: Callable[[Path], object]
    run: Callable[[Path], object]
    files: tuple[str, ...]
    seen: Callable[[Path], object] = lambda folder: None  # what lists the folder, and so finishes what was cut off
    together: bool = False  # its files change all or none


def fork(do: Callable[[], object]) -> tuple[int, str]:
    """Do something in a fork; return 0, what struck it, or by which kind of error it ended, and its message."""
    reading, writing = os.pipe()
    if not (child := os.fork()):
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(SECONDS)
        said, status = "", RIGHT
        try:
            do()
        except BaseException as error:
            said, status = str(error), OWN if type(error).__name__ in ("DataError", "OutputError") else FOREIGN
            said = said if status == OWN else traceback.format_exc()
        os.write(writing, said.encode()[:60_000])
        os._exit(status)
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        said = file.read().decode()
    status = os.waitpid(child, 0)[1]
    return os.waitstatus_to_exitcode(status), said


def on_writes(folder: Path, strike: Callable[[str, int], None]) -> None:
    """Call something before each write below a folder, with its kind and number, for the rest of this process."""
    count, home = [0], str(folder)

    def hook(event: str, args: tuple) -> None:
        if event not in WRITES or (event == "open" and not args[2] & (os.O_WRONLY | os.O_RDWR)):
            return
        if isinstance(args[0], str | Path) and os.path.abspath(args[0]).startswith(home):
            count[0] += 1
            strike(event, count[0] - 1)

    sys.addaudithook(hook)


def struck(case: Case, job: Job, folder: Path, begin: Callable[[], object]) -> None:
    """Run a job in this process, which is a fork, and strike it, or let another begin."""

    def strike(event: str, n: int) -> None:
        if n >= case.at and case.how == "read-only disk":
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(folder))
        if n >= case.at and case.how == "disk full" and event in GROWS:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))
        if n == case.at and case.how == "killed":
            os._exit(KILLED)
        if n == case.at and case.how == "joined":
            begin()

    if case.how == "file limit":
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (case.at, resource.RLIM_INFINITY))
    elif case.how in CLOCKS:
        real = time.time
        time.time = lambda: real() + CLOCKS[case.how]
        time.time_ns = lambda: int(time.time() * 1e9)
    else:
        on_writes(folder, strike)
    job.run(folder)


def strike_it(case: Case, job: Job, folder: Path) -> tuple[int, str]:
    """Run a job in a fork and strike it; where another joins in, that one waits in a fork of its own until then."""
    if case.how != "joined":
        return fork(lambda: struck(case, job, folder, lambda: None))
    asked, ask = os.pipe()
    with ThreadPoolExecutor(1) as thread:
        other = thread.submit(fork, lambda: os.read(asked, 1) and job.run(folder))
        first = fork(lambda: struck(case, job, folder, lambda: os.write(ask, b"x")))
        os.write(ask, b"x")  # if it has not come so far
        second = other.result()
    os.close(asked)
    os.close(ask)
    return first if first[0] else second


def contents(job: Job, folder: Path) -> dict[str, bytes]:
    """Return the files that count, by name, without what no two runs have the same."""
    paths = sorted({path for pattern in job.files for path in folder.glob(pattern) if path.is_file()})
    names = [path.relative_to(folder) for path in paths]
    return {str(name): comparable(folder / name) for name in names if not any(part[0] == "." for part in name.parts)}


def comparable(path: Path) -> bytes:
    """Return a file's bytes; of results without the time that they took; of digests whether they are right."""
    data = path.read_bytes()
    if path.suffix != ".json":
        return data
    told = json.loads(data)
    if path.name == MANIFEST:
        told = {name: hashlib.sha256((path.parent / name).read_bytes()).hexdigest() == digest
                for name, digest in told["sha256"].items()}  # fmt: skip
    return json.dumps(without_times(told)).encode()


def without_times(told: object) -> object:
    """Return what a file says, without what it says of time."""
    if isinstance(told, list):
        return [without_times(one) for one in told]
    if not isinstance(told, dict):
        return told
    return {name: without_times(one) for name, one in told.items() if name not in TIMES}


def try_case(case: Case, job: Job, before: Path, folder: Path, whole: dict[str, bytes]) -> Outcome:
    """Strike a job in a copy of a folder, look at what is left, and run it again."""
    shutil.copytree(before, folder, symlinks=True)
    found = Outcome(case.how, case.at)
    status, said = strike_it(case, job, folder)
    if status in (KILLED, OWN):
        found.outcome = "killed" if status == KILLED else "own error"
    elif status:
        found.wrong = f"a foreign error ({status}): {said}"
        return found
    if status == OWN and (str(folder) not in said or "Traceback" in said):
        found.wrong = f"names no file: {said}"
    fork(lambda: job.seen(folder))
    left, was = contents(job, folder), contents(job, before)
    half = [name for name in left if left[name] not in (was.get(name), whole.get(name))]
    if half or (job.together and left not in (was, whole)) or (status == RIGHT and left != whole):
        found.wrong = found.wrong or f"left half done after {found.outcome}: {half or differing(left, whole)}"
    status, said = fork(lambda: job.run(folder))
    if status or contents(job, folder) != whole:
        found.wrong = found.wrong or f"a rerun ends otherwise: {said} {differing(contents(job, folder), whole)}"
    return found


def differing(left: dict, whole: dict) -> list[str]:
    return [name for name in sorted({*left, *whole}) if left.get(name) != whole.get(name)]


def cases_of(job: Job, before: Path, folder: Path) -> Iterator[Case]:
    """Give all cases of a job: those of each of its writes, counted in a run that nothing strikes."""
    shutil.copytree(before, folder, symlinks=True)
    count, modules = folder.with_name("count"), folder.with_name("modules")

    def run() -> None:
        written, told = (os.open(path, os.O_WRONLY | os.O_CREAT) for path in (count, modules))
        on_writes(folder, lambda event, n: os.write(written, b"x"))
        job.run(folder)
        os.write(told, "\n".join(sys.modules).encode())

    status, said = fork(run)
    if status:
        raise RuntimeError(f"it fails without being struck: {said}")
    for name in modules.read_text().split():  # or each fork would load them anew
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    for at in range(count.stat().st_size):
        yield from (Case(how, at) for how in HOWS[:4])
    yield from (Case("file limit", size) for size in LIMITS)
    yield from (Case(how, 0) for how in CLOCKS)


def main(name: str, folder: Path, seed: int, number: int) -> list[dict]:
    """Try a job's cases, all or some, drawn by the seed."""
    from tests.reliability.struck_models import ALL as JOBS

    job, before = JOBS[name], folder / "before"
    before.mkdir(parents=True)
    job.make(before)
    cases = list(cases_of(job, before, folder / "case"))  # always of one path, which files may have in them
    whole = contents(job, folder / "case")
    shutil.rmtree(folder / "case")
    if not whole:
        raise RuntimeError("it writes none of its files")
    found = []
    for case in random.Random(seed).sample(cases, min(number or len(cases), len(cases))):
        found.append(try_case(case, job, before, folder / "case", whole))
        shutil.rmtree(folder / "case", ignore_errors=True)
    return [asdict(one) for one in found]


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))))
