"""Optional packages: a room imports them lazily, and an error names the extra of a missing package."""

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import lazy_loader

from stimage.core.shipped import HERE

PROJECT = "stimage-1k4m"
EXTRAS = {  # module → the extra of pyproject.toml that installs it
    "accelerate": "train",
    "dask": "spatialdata",
    "evaluate": "evaluate",
    "geopandas": "spatialdata",
    "igraph": "evaluate",
    "mlcroissant": "croissant",
    "openslide": "slides",
    "peft": "train",
    "ray": "ray",
    "safetensors": "train",
    "scanpy": "genes",
    "shapely": "cells",
    "simplejpeg": "train",
    "skimage": "cells",
    "sklearn": "evaluate",
    "spatialdata": "spatialdata",
    "threadpoolctl": "evaluate",
    "timm": "timm",
    "torch": "train",
    "transformers": "train",
    "umap": "evaluate",
    "xgboost": "xgboost",
    "zarr": "spatialdata",
}

APART = {  # what no extra can install → the command that does
    "conch": "pip install git+https://github.com/mahmoodlab/CONCH.git",
    "einops_exts": "pip install einops-exts",
}


class NotInstalled(ModuleNotFoundError):
    """A package of an extra is not installed; the message says how to install it."""


def needs(module: str) -> Any:
    """Import and return a module of an extra.

    Raises
    ------
    NotInstalled
        If its package is not installed; the message names the extra.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise _named(error) from None


def attach(room: str, file: str, extra: str | None = None) -> tuple[Callable, Callable, list[str]]:
    """Return ``__getattr__``, ``__dir__`` and ``__all__`` of a room, which lazily imports the names of its stub.

    Parameters
    ----------
    room, file
        The room's ``__name__`` and ``__file__``.
    extra
        The extra that all work of the room needs, if there is one.
    """
    get, names, offered = lazy_loader.attach_stub(room, file)

    def get_or_name(name: str) -> Any:
        try:
            return get(name)
        except ModuleNotFoundError as error:
            raise _named(error, extra) from None

    return get_or_name, names, offered


def _named(error: ModuleNotFoundError, extra: str | None = None) -> ModuleNotFoundError:
    """Return the error that names a missing package's extra; any other error as it is."""
    package = (error.name or "").partition(".")[0]
    if package not in EXTRAS | APART or isinstance(error, NotInstalled):
        return error
    return NotInstalled(f"{package} is not installed; {how_to_install(package, extra)}", name=error.name)


def how_to_install(package: str, extra: str | None = None) -> str:
    """Return the command that installs a package of `EXTRAS` or `APART`, with its own extra or another ``extra``."""
    return APART.get(package) or f"pip install {this_project(extra or EXTRAS[package])}"


def this_project(extra: str = "") -> str:
    """Return what pip takes for this project with an extra, which no package index has.

    The clone that runs; or what the project was installed from; or, if that is gone, the packages of the extra.
    """
    asked, clone = f"[{extra}]" if extra else "", HERE.parent
    if (clone / "pyproject.toml").is_file():
        return f'-e "{clone}{asked}"'
    source = _installed_from()
    if source.startswith("file:") and not Path(unquote(urlparse(source).path)).exists():
        return " ".join(f'"{one}"' for one in _packages_of(extra)) or f'"{PROJECT}"'
    return f'"{PROJECT}{asked} @ {source}"' if source else f'"{PROJECT}{asked}"'


def _installed_from() -> str:
    """Return the URL that the project was installed from; "" where pip found it by its name."""
    from importlib import metadata  # here and below, since it takes long to import

    try:
        told = json.loads(metadata.distribution(PROJECT).read_text("direct_url.json") or "{}")
    except (metadata.PackageNotFoundError, ValueError):
        return ""
    version = told.get("vcs_info", {})
    return f"{version['vcs']}+{told['url']}@{version['commit_id']}" if version else told.get("url", "")


def _packages_of(extra: str) -> list[str]:
    """Return what an extra of the installed project requires, also by others of its extras."""
    from importlib import metadata

    from packaging.requirements import Requirement

    found: dict[str, None] = {}
    for one in map(Requirement, metadata.requires(PROJECT) or []):
        if one.marker and one.marker.evaluate({"extra": extra}) and not one.marker.evaluate({"extra": ""}):
            more = [name for other in sorted(one.extras) for name in _packages_of(other)]
            found |= dict.fromkeys(more if one.name == PROJECT else [f"{one.name}{one.specifier}"])
    return [*found]
