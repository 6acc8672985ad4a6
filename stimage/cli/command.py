"""The command `stimage JOB`, which runs any of the scripts, installed or from a clone."""

import ast
import difflib
import sys
import types
from pathlib import Path

from stimage import __version__
from stimage.core.shipped import BASE

FOLDERS = {  # folder of scripts/ → what its jobs are for
    ".": "begin",
    "data_collection": "collect slides",
    "data_process": "prepare data",
    "finetune": "train",
    "evaluation": "evaluate",
}
USAGE = "usage: stimage JOB [OPTION …]; stimage JOB --help explains a job"


def find_jobs() -> dict[str, Path]:
    """Return job → its script, group by group."""
    folders = [BASE / "scripts" / folder for folder in FOLDERS]
    return {path.stem.replace("_", "-"): path for folder in folders for path in sorted(folder.glob("*.py"))}


def listing(jobs: dict[str, Path]) -> str:
    """Return the jobs by group, each with the first line of its script's docstring."""
    lines, width = [USAGE], max(map(len, jobs))
    for folder, title in FOLDERS.items():
        lines += ["", f"{title}:"]
        for job, path in jobs.items():
            if path.parent == BASE / "scripts" / folder:
                text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
                lines.append(f"  {job:{width}}  {text.partition(chr(10))[0]}")
    return "\n".join(lines)


def main() -> None:
    """Run a job with the arguments of the command line, list the jobs, or print the version."""
    jobs, (job, *arguments) = find_jobs(), [*sys.argv[1:], ""]
    if job in ("", "-h", "--help"):
        print(listing(jobs))
        sys.exit(0 if job else 2)
    if job == "--version":
        print(__version__)
        return
    if job not in jobs:
        near = difflib.get_close_matches(job.replace("_", "-"), jobs, n=1)
        meant = f"did you mean {near[0]}? " if near else ""
        sys.exit(f"error: {job}: is no job; {meant}stimage --help lists the jobs")
    run_script(jobs[job], f"stimage {job}", arguments[:-1])


def run_script(path: Path, name: str, arguments: list[str]) -> None:
    """Run a script as the main program, as ``python path arguments`` does; its usage has the name."""
    program = types.ModuleType("__main__")
    program.__file__ = str(path)
    sys.argv, sys.modules["__main__"] = [name, *arguments], program  # where processes look for what they run
    exec(compile(path.read_bytes(), path, "exec"), vars(program))
