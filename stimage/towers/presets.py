"""Presets: image encoders of the field by name, as a table, and what this machine lacks to use each."""

import csv
import importlib.util
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from stimage.core.errors import DataError, one_line
from stimage.core.extras import how_to_install
from stimage.towers.options import TowerOptions

TABLE = Path(__file__).with_name("presets.csv")
COLUMNS = ("name", "loader", "package", "own_code", "pooling", "size", "mean", "std", "model_args", "width",
           "precision", "licence", "gated", "source")  # fmt: skip
CONFIG = "config.json"
WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".ckpt")
PIECE = re.compile(r"-\d+-of-\d+\.")  # in the name of one of several files of weights
PRECISIONS = ("float32", "float16", "bfloat16")


@dataclass(frozen=True)
class Preset:
    """An image encoder of the field.

    Attributes
    ----------
    name
        The short name that a user asks for.
    loader
        The name that `load_tower` loads, with the prefix of its family.
    package
        The package that loads it.
    own_code
        Whether it runs code that comes with the checkpoint, and needs ``trust_remote_code``.
    options
        Its model arguments, pooling, size, mean and std.
    width
        Length of its vectors.
    precision
        The type in which its authors, or TRIDENT, run it.
    licence, gated
        Licence of the weights, and whether their terms must be accepted on the Hub first.
    source
        The publication.
    """

    name: str
    loader: str
    package: str
    own_code: bool
    options: TowerOptions
    width: int
    precision: str
    licence: str
    gated: bool
    source: str

    @property
    def repository(self) -> str:
        """The repository on the Hub that has the weights."""
        where = self.loader.rpartition(":")[2]
        return where if "/" in where else f"timm/{where}"


@cache
def presets() -> dict[str, Preset]:
    """Return the presets by name."""
    return read_presets(TABLE)


def read_presets(path: Path) -> dict[str, Preset]:
    """Read a table of presets.

    Raises
    ------
    DataError
        Naming the row, if it lacks a column, has a value that cannot be, or repeats a name.
    """
    found: dict[str, Preset] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            where = f"{path}: preset {row.get('name')!r}"
            if row.get("name") in found:
                raise DataError(f"{where} is there twice")
            try:
                found[row.get("name", "")] = _preset(row)
            except ValueError as error:
                raise DataError(f"{where}: {one_line(error)}") from None
    return found


def find_preset(name: str) -> Preset | None:
    """Return the preset of a name, in any case; None if there is none, or a folder has the name."""
    return None if Path(name).exists() else presets().get(name.lower())


def checkpoint_of(name: str) -> str:
    """Return the checkpoint that a preset loads; for other names, the name itself."""
    preset = find_preset(name)
    return preset.loader if preset else name


def not_cached(preset: Preset) -> str:
    """Return, in words, what the Hugging Face cache lacks of a preset: "" if nothing, or else its configuration, its
    weights, or both. Weights of several files lack if one of them does."""
    from huggingface_hub import try_to_load_from_cache

    config = try_to_load_from_cache(preset.repository, CONFIG)
    if not isinstance(config, str):
        return f"{CONFIG} and weights"
    return "" if has_weights(Path(config).parent) else "weights"


def has_weights(folder: Path) -> bool:
    """Return whether a folder has a model's weights; of an index of several files, all that it names."""
    for index in folder.glob("*.index.json"):
        try:
            named = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
        except (OSError, ValueError, LookupError, AttributeError):
            continue  # damaged, so that nothing can be loaded by it
        if all((folder / name).is_file() for name in named):
            return True
    return any(path.is_file() and not PIECE.search(path.name) for path in folder.iterdir() if path.suffix in WEIGHTS)


def missing(preset: Preset) -> Iterator[str]:
    """Yield, in order, what to do on this machine before a preset can be loaded; nothing if it can be at once."""
    from huggingface_hub import constants, get_token

    if importlib.util.find_spec(preset.package) is None:
        yield how_to_install(preset.package)
    if lacks := not_cached(preset):
        if constants.HF_HUB_OFFLINE:
            yield f"hf download {preset.repository}, where there is a network: the cache lacks {lacks}"
        elif preset.gated and get_token() is None:
            yield f"accept the terms at https://huggingface.co/{preset.repository}; hf auth login"
    if preset.own_code:
        yield "pass trust_remote_code=True (--trust-remote-code), once its code is read"


def _preset(row: dict[str, str]) -> Preset:
    if tuple(row) != COLUMNS or None in row.values():
        raise ValueError(f"the row has not the {len(COLUMNS)} columns {', '.join(COLUMNS)}; quote what has a comma")
    if row["name"] != row["name"].lower():
        raise ValueError("name: write it in lower case")
    for key, known in (("own_code", ("yes", "")), ("gated", ("yes", "")), ("precision", PRECISIONS)):
        if row[key] not in known:
            raise ValueError(f"{key}={row[key]!r}: write one of {', '.join(map(repr, known))}")
    mean, std = (tuple(map(float, row[key].split())) for key in ("mean", "std"))
    options = TowerOptions(row["pooling"], int(row["size"]), mean, std, json.loads(row["model_args"] or "{}"))
    facts: dict[str, Any] = {key: row[key] for key in ("name", "loader", "package", "precision", "licence", "source")}
    facts |= {key: row[key] == "yes" for key in ("own_code", "gated")}
    return Preset(**facts, options=options, width=int(row["width"]))
