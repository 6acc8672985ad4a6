"""Reading a root: which slides it has, in which splits, and a slide's spots with their patches and counts."""

from stimage.core.extras import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
