"""Slides of other formats, in and out: Space Ranger, AnnData, SpatialData, legacy ST."""

from stimage.core.extras import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
