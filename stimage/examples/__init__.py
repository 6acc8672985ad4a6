"""What one example is: the builder's options, and spots as Arrow tables."""

from stimage.core.extras import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
