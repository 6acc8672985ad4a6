"""Scripts, configurations and metrics: beside stimage/ in a clone, within it when installed."""

import difflib
import os
from pathlib import Path

HERE = Path(__file__).parents[1]
BASE = shipped if (shipped := HERE / "shipped").is_dir() else HERE.parent
CONFIGS = "configs/finetune"


def find_config(name: str) -> Path:
    """Return the YAML file of a configuration, from its path or from the name of a shipped one ("clip_vit_b32_hvg").

    Raises
    ------
    ValueError
        If there is no configuration of that name; the error names the nearest ones.
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
    """Return a path, or the shipped file of that path if the path itself does not exist."""
    return path if os.path.exists(path) or not os.path.exists(BASE / path) else str(BASE / path)


def metric_path(name: str) -> str:
    """Return the path of a metric for `evaluate.load`: "embedding_scores", "linear_probe" or "retrieval".

    Parameters
    ----------
    name
        The name of the metric.

    Returns
    -------
    str
        The path.

    Raises
    ------
    ValueError
        If there is no such metric.
    """
    names = sorted(path.name for path in (BASE / "metrics").iterdir() if path.is_dir())
    if name not in names:
        raise ValueError(f"{name!r}: is no metric; pass one of {', '.join(names)}")
    return str(BASE / "metrics" / name)
