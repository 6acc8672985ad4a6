"""What scripts have in common: their options, and how an error ends them."""

from stimage.core.extras import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
