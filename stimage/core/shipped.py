"""Scripts, configurations and metrics: a clone has them beside stimage/, and what is installed within it."""

import difflib
import os
from pathlib import Path

HERE = Path(__file__).parents[1]
BASE = shipped if (shipped := HERE / "shipped").is_dir() else HERE.parent
CONFIGS = "configs/finetune"


def find_config(name: str) -> Path:
    """Return the YAML file of a configuration: a path as it is, a name such as "clip_vit_b32_hvg" as the shipped one.

    Raises
    ------
    ValueError
        If there is no configuration of that name; naming those that are nearest.
    """
    if Path(name).suffix or Path(name).exists():
        return Path(name)
    named = {path.stem: path for path in sorted((BASE / CONFIGS).glob("*.yaml"))}
    if name not in named:
        near = difflib.get_close_matches(name, named, n=3) or named
        raise ValueError(f"{name!r}: is neither a YAML file nor a configuration that is shipped, such as "
                         f"{', '.join(near)}")  # fmt: skip
    return named[name]


def find_shipped(path: str) -> str:
    """Return a path as it is; where there is no such file, that of the shipped one, if there is one."""
    return path if os.path.exists(path) or not os.path.exists(BASE / path) else str(BASE / path)


def metric_path(name: str) -> str:
    """Return what `evaluate.load` takes for a metric: "embedding_scores", "linear_probe" or "retrieval".

    Raises
    ------
    ValueError
        If there is no such metric.
    """
    names = sorted(path.name for path in (BASE / "metrics").iterdir() if path.is_dir())
    if name not in names:
        raise ValueError(f"{name!r}: is no metric; pass one of {', '.join(names)}")
    return str(BASE / "metrics" / name)
