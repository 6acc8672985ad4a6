"""Checkpoints and results on disk: each whole or not there, under a temporary name first."""

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from safetensors import SafetensorError

from stimage.core.errors import DataError
from stimage.training.settings.groups import flat
from stimage.training.settings.reading import read_record

FOLDER, RECORD = "checkpoints", "settings.json"
FREE = {f"run.{name}" for name in ("processes", "workers", "trackers", "keep", "checkpoint_steps", "probe_spots",
                                  "compile", "patience", "epochs")}  # may change, and epochs become more  # fmt: skip


@dataclass
class Progress:
    """How far a run is; accelerate saves it with the weights.

    ``history`` has a dict of scores for each validation, ``losses`` the loss of each step, ``planned`` from which step
    on the run was to have how many epochs.
    """

    step: int = 0
    best: float = float("inf")
    best_epoch: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    planned: list[tuple[int, int]] = field(default_factory=list)

    def state_dict(self) -> dict[str, Any]:
        return vars(self)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        vars(self).update(state)


def claim(out: Path, record: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Make OUT this run's, or go on in it, and return the settings that it began with, by full name.

    Raises
    ------
    DataError
        If another run trained there, naming the difference, or one of more epochs.
    """
    path, now = out / RECORD, flat(json.loads(json.dumps(record)))
    if path.exists():
        try:
            before = now | read_record(json.loads(path.read_text()))
        except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
            raise DataError(f"{path}: is damaged; remove {out}, or pass another --out") from None
        other = [name for name in now if name not in FREE and before[name] != now[name]]
        if newest(out) or (out / "model").exists():
            if before["run.epochs"] > now["run.epochs"]:
                other.append("run.epochs")
            if other:
                name = other[0]
                raise DataError(f"{out}: has a run with {name}={before[name]!r}, not {now[name]!r}; pass another --out")
            return before
        if before == now:
            return now
        if other:
            shutil.rmtree(out / "untrained", ignore_errors=True)  # of a run that failed before its first checkpoint
    elif out.exists() and any(out.iterdir()):
        raise DataError(f"{out}: is not empty, and has no run to go on with; pass another --out")
    out.mkdir(parents=True, exist_ok=True)
    write_record(out, record)
    return now


def write_record(out: Path, record: Mapping[str, Mapping[str, Any]]) -> None:
    """Write OUT/settings.json, by which a run is known."""
    write_text(out / RECORD, json.dumps(record, indent=1))


def newest(out: Path) -> Path | None:
    """Return the last whole checkpoint, None if there is none."""
    return max((out / FOLDER).glob("step-*"), default=None)


def save_checkpoint(accelerator: Accelerator, out: Path, step: int, keep: int) -> None:
    """Save all that a run needs to go on, exactly, and remove older checkpoints but for ``keep`` in all."""
    folder = out / FOLDER
    unfinished = folder / f"unfinished-{step:08d}"
    if accelerator.is_main_process:
        for left in folder.glob("unfinished-*"):
            shutil.rmtree(left)
    accelerator.wait_for_everyone()
    with _room(out, unfinished):
        accelerator.save_state(str(unfinished), safe_serialization=True)
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        replace_folder(unfinished, folder / f"step-{step:08d}")
        for old in sorted(folder.glob("step-*"))[:-keep]:
            shutil.rmtree(old)
    accelerator.wait_for_everyone()


def save_folder(folder: Path, write: Callable[[Path], None]) -> None:
    """Write a folder through ``write``, under a temporary name, and put it in place of the one that is there."""
    unfinished = folder.with_name(f".{folder.name}")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    with _room(folder.parent, unfinished):
        write(unfinished)
    replace_folder(unfinished, folder)


def replace_folder(new: Path, folder: Path) -> None:
    """Rename a folder to where another may be."""
    old = folder.with_name(f".old-{folder.name}")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    new.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write a file, whole or not at all."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)


class _room:
    """Turn a full or read-only disk into a `DataError`, and remove what was half written."""

    def __init__(self, out: Path, unfinished: Path):
        self.out, self.unfinished = out, unfinished

    def __enter__(self) -> "_room":
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None:
            return
        shutil.rmtree(self.unfinished, ignore_errors=True)
        if isinstance(error, OSError | RuntimeError | SafetensorError):  # torch tells a failed write by the second
            raise DataError(
                f"{self.out}: cannot be written ({' '.join(str(error).split())[:150]}); the last whole checkpoint is "
                "kept: make room and run the same command again"
            ) from None
