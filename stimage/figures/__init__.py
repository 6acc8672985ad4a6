"""Pictures, in one style and one palette: arrays in, files out."""

from stimage.core.extras import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
