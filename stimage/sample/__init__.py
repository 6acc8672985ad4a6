"""A made root: small slides of all three technologies, whose regions, scale and gene programmes are known."""

from stimage.core.extras import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
