"""The processes of a run and their precision, from the settings and from accelerate's launcher."""

import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import GradScalerKwargs, InitProcessGroupKwargs

from stimage.core.errors import DataError
from stimage.training.settings.groups import PRECISIONS, Settings

PATIENCE = timedelta(hours=12)  # while the main process prepares data or uploads; NCCL's own is ten minutes
FP16_SCALE = 2.0**10  # of the loss at first; by torch's 2**16 gradients overflow, and early steps are skipped


def make_accelerator(settings: Settings, out: Path) -> Accelerator:
    """Return what spreads the run over its processes; `DataError` if these are others than were asked for."""
    AcceleratorState._reset_state()  # of an earlier run in this process, whose precision and compiler it would keep
    accelerator = Accelerator(
        cpu=not torch.accelerator.is_available(),  # or torchrun's processes would each run alone
        mixed_precision=autocast_of(settings),
        log_with=list(settings.run.trackers) or None,
        project_dir=str(out),
        dynamo_backend={True: "inductor", False: "no", None: None}[settings.run.compile],  # None: accelerate's own
        kwargs_handlers=[InitProcessGroupKwargs(timeout=PATIENCE), GradScalerKwargs(init_scale=FP16_SCALE)],
    )
    check_world(accelerator.num_processes, settings)
    return accelerator


def autocast_of(settings: Settings) -> str:
    """Return accelerate's name of the precision, and let products of fp32 be of tf32 if that was asked for."""
    precision = settings.run.mixed_precision or "no"
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    return "no" if precision == "tf32" else precision


def with_precision(settings: Settings) -> Settings:
    """Return the settings with accelerate's precision if they name none; `DataError` if both name one, and they differ.

    ``accelerate launch`` says "no" also where nobody chose; the settings' precision then holds.
    """
    asked, launched = settings.run.mixed_precision, os.environ.get("ACCELERATE_MIXED_PRECISION", "no").lower()
    if launched not in ("no", asked) and (asked or launched not in PRECISIONS):
        raise DataError(f"run.mixed_precision: is {asked or 'null'}, but accelerate launch was told {launched}; leave "
                        f"out one of the two (there are {', '.join(PRECISIONS)})")  # fmt: skip
    return replace(settings, run=replace(settings.run, mixed_precision=asked or launched))


def check_world(ranks: int, settings: Settings) -> None:
    """Refuse another number of processes than was asked for, of the settings or of `accelerate launch`.

    On CPUs without MPI, ``accelerate launch --cpu --num_processes 2`` starts one, and says nothing; but it tells that
    one the address at which several would meet.
    """
    asked, told = settings.run.processes, {"ACCELERATE_USE_CPU", "MASTER_ADDR"} <= os.environ.keys()
    if asked is None and told and ranks == 1 and "WORLD_SIZE" not in os.environ:
        asked = "several"
    if asked is not None and asked != ranks:
        raise DataError(f"{asked} processes were asked for, but {ranks} run; on CPUs start them with "
                        f"torchrun --nproc_per_node {'N' if asked == 'several' else asked}")  # fmt: skip
    if settings.loss.batch_size % ranks:
        raise DataError(f"loss.batch_size: is {settings.loss.batch_size}, which {ranks} processes can't share evenly")
