"""Optional packages: a room imports them lazily, and an error names the extra of a missing package."""

import importlib
from collections.abc import Callable
from typing import Any

import lazy_loader

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
    "zarr": "spatialdata",
}

APART = {  # what no extra can install → the command that does
    "xgboost": "pip install xgboost",
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
    return APART.get(package) or f'pip install "stimage-1k4m[{extra or EXTRAS[package]}]"'
