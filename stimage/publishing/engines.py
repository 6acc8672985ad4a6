"""Run many shards: in local processes, as Ray tasks, or as a Slurm array. Marker files record finished shards."""

import os
import shlex
import subprocess
import traceback
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from stimage.core.errors import DataError, OutputError, one_line
from stimage.core.extras import needs
from stimage.core.files import write_text
from stimage.core.processes import in_processes
from stimage.publishing.shards import WORK, Shard, ShardRecord, write_shard


@dataclass(frozen=True)
class ShardOutcome:
    """The outcome of a shard: done, or an error. A ``fatal`` error would stop all other shards too."""

    shard: Shard
    done: ShardRecord | None = None
    error: str | None = None
    fatal: bool = False


def attempt(shard: Shard) -> ShardOutcome:
    """Write a shard, and turn any error into words, so that it stops no other shard."""
    try:
        return ShardOutcome(shard, write_shard(shard))
    except DataError as error:
        return ShardOutcome(shard, error=str(error), fatal=isinstance(error, OutputError))
    except OSError as error:  # a file that vanishes while it is read, a folder in the way
        source = error.filename2 or error.filename or shard.slide.name
        return ShardOutcome(shard, error=f"{source}: {one_line(error)}; put it right and run the same command again")
    except Exception as error:  # a defect: whatever it is, it is told at the end
        return ShardOutcome(shard, error=f"{shard.slide.name}: {error!r}\n{traceback.format_exc()}")


def run_local(shards: Iterable[Shard], workers: int) -> Iterator[ShardOutcome]:
    """Run shards in processes; a process that dies costs only its own shard."""
    for shard, outcome, died in in_processes(attempt, shards, workers):
        yield outcome or ShardOutcome(shard, error=f"{shard.slide.name}: {died}")


def run_ray(shards: Iterable[Shard], workers: int | None = None) -> Iterator[ShardOutcome]:
    """Run shards as Ray tasks, on the cluster that RAY_ADDRESS names, or on this machine."""
    ray = needs("ray")
    cpus = None if os.environ.get("RAY_ADDRESS") else workers  # a cluster that is there has its own number
    ray.init(num_cpus=cpus, ignore_reinit_error=True, log_to_driver=False)
    task = ray.remote(max_retries=0)(attempt)
    waiting = {task.remote(shard): shard for shard in shards}
    while waiting:
        (ready,), _ = ray.wait(list(waiting), num_returns=1)
        shard = waiting.pop(ready)
        try:
            yield ray.get(ready)
        except ray.exceptions.RayError as error:
            yield ShardOutcome(shard, error=f"{shard.slide.name}: its task died ({type(error).__name__})")


def submit_slurm(out: Path, command: Sequence[str], tasks: int, workers: int, sbatch: Sequence[str]) -> list[str]:
    """Submit an array of ``tasks`` jobs that share the work, and a job after it that does the rest and finishes.

    Parameters
    ----------
    out
        The published folder, on a file system that all nodes see.
    command
        The command that runs the build on this machine; each job adds ``--share K/N`` to it.
    workers
        Number of CPUs, and of processes, for each job.
    sbatch
        Further options for sbatch, such as ``--partition=cpu``.

    Returns
    -------
    list of str
        The ids of the two jobs.

    Raises
    ------
    DataError
        If sbatch is missing or refuses.
    """
    logs = out / WORK / "slurm"
    logs.mkdir(parents=True, exist_ok=True)
    share = '--share "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT"'
    array = _script(logs, "shards", shlex.join(command) + " " + share, workers, [f"--array=0-{tasks - 1}"], "%A_%a")
    end = _script(logs, "finish", shlex.join(command), workers, [], "%j")
    first = _sbatch([*sbatch, array])
    return [first, _sbatch([*sbatch, f"--dependency=afterany:{first}", end])]


def _script(logs: Path, name: str, command: str, workers: int, options: list[str], job: str) -> str:
    options = [
        f"--job-name=stimage-{name}",
        f"--cpus-per-task={workers}",
        f"--output={logs}/{name}-{job}.log",
        *options,
    ]
    path = logs / f"{name}.sbatch"
    write_text(path, "\n".join(["#!/bin/bash", *(f"#SBATCH {option}" for option in options), f"exec {command}", ""]))
    return str(path)


def _sbatch(arguments: list[str]) -> str:
    command = ["sbatch", "--parsable", *arguments]
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=True)
    except FileNotFoundError:
        raise DataError("sbatch: is not on the PATH; run this where Slurm jobs are submitted") from None
    except subprocess.CalledProcessError as error:
        raise DataError(f"{shlex.join(command)}: failed: {error.stderr.strip()}") from None
    return result.stdout.strip().split(";")[0]
