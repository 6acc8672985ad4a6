"""Presets: image encoders of the field by name, as a table, and what is missing here to use each."""

import csv
import importlib.util
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from stimage.core.extras import how_to_install
from stimage.towers.options import TowerOptions

TABLE = Path(__file__).with_name("presets.csv")
PACKAGES = {  # prefix of a loader → the package that loads it
    "timm:": "timm",
    "hf-hub:": "timm",
    "conch:": "conch",
    "titan:": "einops_exts",
}
OWN_CODE = ("titan:", "histai/")  # what runs code that comes with the checkpoint


@dataclass(frozen=True)
class Preset:
    """An image encoder of the field.

    Attributes
    ----------
    name
        What one asks for.
    loader
        What `load_tower` loads: a name with its family's prefix.
    options
        Its model arguments, pooling, size, mean and std.
    width
        Length of its vectors.
    precision
        The type in which its authors, or TRIDENT, run it.
    licence, gated
        Of the weights; whether their terms must be accepted on the Hub first.
    source
        The publication.
    """

    name: str
    loader: str
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

    @property
    def own_code(self) -> bool:
        """Whether it needs ``trust_remote_code``."""
        return self.loader.startswith(OWN_CODE)


@cache
def presets() -> dict[str, Preset]:
    """Return the presets by name."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        return {row["name"]: _preset(row) for row in csv.DictReader(file)}


def find_preset(name: str) -> Preset | None:
    """Return the preset of a name, written in capitals or not; None if it is none, or a folder is called so."""
    return None if Path(name).exists() else presets().get(name.lower())


def checkpoint_of(name: str) -> str:
    """Return what a preset loads; of what is no preset, the name itself."""
    preset = find_preset(name)
    return preset.loader if preset else name


def is_cached(preset: Preset) -> bool:
    """Return whether a preset's configuration is in the Hugging Face cache."""
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(preset.repository, "config.json"), str)


def missing(preset: Preset) -> Iterator[str]:
    """Yield what must be done here before a preset can be loaded, in order; nothing if it can be at once."""
    from huggingface_hub import constants, get_token

    prefix = next((prefix for prefix in PACKAGES if preset.loader.startswith(prefix)), None)
    package = PACKAGES[prefix] if prefix else "transformers"
    if importlib.util.find_spec(package) is None:
        yield how_to_install(package)
    if not is_cached(preset):
        if constants.HF_HUB_OFFLINE:
            yield f"hf download {preset.repository}, where there is a network"
        elif preset.gated and get_token() is None:
            yield f"accept the terms at https://huggingface.co/{preset.repository}; hf auth login"
    if preset.own_code:
        yield "pass trust_remote_code=True (--trust-remote-code), once its code is read"


def _preset(row: dict[str, str]) -> Preset:
    mean, std = (tuple(map(float, row[key].split())) for key in ("mean", "std"))
    options = TowerOptions(row["pooling"], int(row["size"]), mean, std, json.loads(row["model_args"] or "{}"))
    facts = {key: row[key] for key in ("name", "loader", "precision", "licence", "source")}
    return Preset(**facts, options=options, width=int(row["width"]), gated=row["gated"] == "yes")
