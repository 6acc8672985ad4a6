"""What every room stands on: errors, files of a root wherever it is, text tables, writing whole or not at all."""

from stimage.core.extras import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
