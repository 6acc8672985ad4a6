"""Checkpoints on disk: each is whole or absent."""

import json
import os
import shutil
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stimage.core.errors import DataError
from stimage.core.files import listed, replacing_folder, room_for, unfinished_folder, writable, write_text
from stimage.core.results import as_json
from stimage.training.data.contents import CONTENTS
from stimage.training.settings.groups import FILES, flat
from stimage.training.settings.reading import read_record

if TYPE_CHECKING:
    from accelerate import Accelerator

FOLDER, RECORD = "checkpoints", "settings.json"
# settings that may change, and epochs may become more
FREE = {f"run.{name}" for name in ("processes", "workers", "trackers", "keep", "checkpoint_steps", "probe_spots",
                                  "compile", "patience", "epoch_models", "epochs")}  # fmt: skip


@dataclass
class Progress:
    """How far a run is; accelerate saves it with the weights.

    ``history`` has a dict of scores for each validation, ``losses`` the loss of each step, ``planned`` from which step
    on the run was to have how many epochs.
    """

    step: int = 0
    best: float = float("inf")
    best_epoch: float = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    planned: list[tuple[int, int]] = field(default_factory=list)

    def state_dict(self) -> dict[str, Any]:
        return vars(self)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        vars(self).update(state)


def claim(out: Path, record: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Make OUT the folder of this run, or continue the run in it, and return its first settings by full name.

    Raises
    ------
    DataError
        If another run trained there, with the difference, or one of more epochs.
    """
    path, now = out / RECORD, flat(json.loads(json.dumps(record)))
    if path.exists():
        try:
            before = now | read_record(json.loads(path.read_text()))
        except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
            raise DataError(f"{path}: is damaged; remove {out}, or pass another out= (--out)") from None
        other = [name for name in now if name not in FREE and before[name] != now[name]]
        if (out / CONTENTS).exists():
            other = [name for name in other if not _may_have_moved(name, before[name], now[name])]
        if has_trained(out):
            if before["run.epochs"] > now["run.epochs"]:
                other.append("run.epochs")
            if other:
                name = other[0]
                raise DataError(
                    f"{out}: has a run with {name}={before[name]!r}, not {now[name]!r}; pass another out= (--out)"
                )
            return before
        if before == now:
            return now
        if other:
            shutil.rmtree(out / "untrained", ignore_errors=True)  # of a run that failed before its first checkpoint
    elif listed(out, "*"):
        raise DataError(f"{out}: is not empty, and has no run to go on with; pass another out= (--out)")
    write_record(out, record)
    return now


def has_trained(out: Path) -> bool:
    """Say whether a run in OUT has trained, so that what it was made of must not change."""
    return newest(out) is not None or (out / "model").exists()


def _may_have_moved(name: str, before: Any, now: Any) -> bool:
    """Say whether a setting names what lies elsewhere now: `check_contents` holds it to what it holds."""
    return name in FILES and isinstance(before, str) and isinstance(now, str) and os.path.exists(now)


def write_record(out: Path, record: Mapping[str, Mapping[str, Any]]) -> None:
    """Write OUT/settings.json, by which a run is known."""
    write_text(out / RECORD, as_json(record))


def newest(out: Path) -> Path | None:
    """Return the last whole checkpoint, None if there is none."""
    return max(listed(out / FOLDER, "step-*"), default=None)


def save_checkpoint(accelerator: "Accelerator", out: Path, step: int, keep: int) -> None:
    """Save all that a run needs to go on, exactly, and remove older checkpoints but for ``keep`` in all."""
    folder, main = out / FOLDER / f"step-{step:08d}", accelerator.is_main_process
    if main:
        _remove((out / FOLDER).glob(".*"), out)  # of a run that was killed, and saves at other steps now
    with replacing_folder(folder) if main else nullcontext(unfinished_folder(folder)) as unfinished:
        accelerator.wait_for_everyone()
        with room_for(folder):
            accelerator.save_state(str(unfinished), safe_serialization=True)
        accelerator.wait_for_everyone()
    if main:
        _remove(listed(out / FOLDER, "step-*")[:-keep], out)
    accelerator.wait_for_everyone()


def _remove(folders: Iterable[Path], out: Path) -> None:
    with writable(out / FOLDER):
        for folder in folders:
            shutil.rmtree(folder)
