"""Evaluation of models: embeddings of slides, and stated protocols that choose, fit, predict and score."""

import warnings
from typing import Any

from stimage.core.extras import attach

_of_this_room, __dir__, __all__ = attach(__name__, __file__, "evaluate")
_MOVED = ("Embeddings", "read_embeddings", "write_embeddings")


def __getattr__(name: str) -> Any:
    """Return what the room offers; files of embeddings have moved, and warn with the new place."""
    if name not in _MOVED:
        return _of_this_room(name)
    from stimage import loading

    warnings.warn(f"stimage.evaluation.{name}: import {name} from stimage.loading", FutureWarning, stacklevel=2)
    return getattr(loading, name)
